// Compiles one CUDA file with nothing but libnvrtc:
//   bare-nvrtc LIBNVRTC BUILTINS FILE.cu OPTION...   writes FILE.cu.ptx and FILE.cu.cubin
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

typedef void* Program;

static void* find(void* library, const char* name) {
  void* symbol = dlsym(library, name);
  if (symbol == NULL) {
    fprintf(stderr, "no %s\n", name);
    exit(2);
  }
  return symbol;
}

static char* read_file(const char* path) {
  FILE* file = fopen(path, "rb");
  if (file == NULL) exit(2);
  fseek(file, 0, SEEK_END);
  const long size = ftell(file);
  rewind(file);
  char* text = malloc(size + 1);
  text[fread(text, 1, size, file)] = 0;
  fclose(file);
  return text;
}

static void write_output(void* library, Program program, const char* what, const char* path) {
  char name[64], out[4096];
  size_t size = 0;
  snprintf(name, sizeof name, "nvrtcGet%sSize", what);
  ((int (*)(Program, size_t*))find(library, name))(program, &size);
  char* bytes = calloc(size + 1, 1);
  snprintf(name, sizeof name, "nvrtcGet%s", what);
  ((int (*)(Program, char*))find(library, name))(program, bytes);
  snprintf(out, sizeof out, "%s.%s", path, what[0] == 'P' ? "ptx" : "cubin");
  FILE* file = fopen(out, "wb");
  fwrite(bytes, 1, what[0] == 'P' ? size - 1 : size, file);
  fclose(file);
}

int main(int count, char** words) {
  if (count < 4) return 2;
  // The compiler opens it by name, and it may lie anywhere.
  dlopen(words[2], RTLD_NOW | RTLD_GLOBAL);
  void* library = dlopen(words[1], RTLD_NOW);
  if (library == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    return 2;
  }
  int (*create)(Program*, const char*, const char*, int, const char**, const char**) =
      find(library, "nvrtcCreateProgram");
  int (*compile)(Program, int, char**) = find(library, "nvrtcCompileProgram");
  Program program = NULL;
  if (create(&program, read_file(words[3]), words[3], 0, NULL, NULL) != 0) return 2;
  if (compile(program, count - 4, words + 4) != 0) {
    char log[65536] = "";
    ((int (*)(Program, char*))find(library, "nvrtcGetProgramLog"))(program, log);
    fprintf(stderr, "%s", log);
    return 1;
  }
  write_output(library, program, "PTX", words[3]);
  write_output(library, program, "CUBIN", words[3]);
  return 0;
}

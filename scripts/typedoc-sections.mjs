// Sorts the API reference by what things are for, which their folders say: typedoc knows only kinds.
import { Comment, CommentTag, Converter } from "typedoc";

/** The first that fits a file's path names its section; sections appear in this order. */
const sections = [
  [/^src\/util\//, "Errors"],
  [/^src\/inspection\/|^src\/api\/(inspect|record)/, "Inspecting programs"],
  [/^src\/api\/(kernel|workbench)/, "Single kernels"],
  [/^src\/api\/(doctor|tune)/, "The machine"],
  [/^src\/speculation\//, "Draft trees"],
  [/^src\/text\/(chat|conversation|input|message)/, "Conversations"],
  [/^src\/text\/|tokenizer/, "Tokens"],
  [/^src\/weights\//, "Checkpoints"],
  [/^src\/api\//, "Models and generation"],
];

export function load(app) {
  /** The exported things, with the signatures that hold a function's comment. */
  const exported = ({ project }) =>
    (project.children ?? []).flatMap((each) => [each, ...(each.signatures ?? [])]);
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, (context) => {
    for (const reflection of exported(context)) {
      const file = context.project.getSymbolIdFromReflection(reflection)?.packagePath ?? "";
      const [, section = "More"] = sections.find(([pattern]) => pattern.test(file)) ?? [];
      reflection.comment ??= new Comment();
      reflection.comment.blockTags.push(
        new CommentTag("@category", [{ kind: "text", text: section }]),
      );
    }
  });
  // After typedoc's own handler has read the tags: a tag of ours is no documentation.
  const afterAll = -1000;
  app.converter.on(
    Converter.EVENT_RESOLVE_END,
    (context) => {
      for (const reflection of exported(context)) {
        reflection.comment?.removeTags("@category");
        if (reflection.comment?.isEmpty()) delete reflection.comment;
      }
    },
    afterAll,
  );
}

/** The content of a section of a 64-bit little-endian ELF file; undefined when there is none. */
export function elfSection(elf: Uint8Array, name: string): Uint8Array | undefined {
  const view = new DataView(elf.buffer, elf.byteOffset, elf.byteLength);
  const [table, size, count, names] = [
    Number(view.getBigUint64(0x28, true)),
    view.getUint16(0x3a, true),
    view.getUint16(0x3c, true),
    view.getUint16(0x3e, true),
  ];
  const content = (index: number): Uint8Array => {
    const header = table + index * size;
    const offset = Number(view.getBigUint64(header + 0x18, true));
    return elf.subarray(offset, offset + Number(view.getBigUint64(header + 0x20, true)));
  };
  const strings = content(names);
  for (let index = 0; index < count; index++) {
    const start = view.getUint32(table + index * size, true);
    const end = strings.indexOf(0, start);
    if (new TextDecoder().decode(strings.subarray(start, end)) === name) return content(index);
  }
  return undefined;
}

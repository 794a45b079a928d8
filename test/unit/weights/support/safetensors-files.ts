/** A safetensors file with the given header (text, or an object to encode) and data. */
export function safetensors(
  header: string | object,
  data: Uint8Array = new Uint8Array(),
): Uint8Array {
  const json = Buffer.from(typeof header === "string" ? header : JSON.stringify(header), "utf8");
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([prefix, json, data]);
}

export function entry(dtype: string, shape: unknown[], begin: unknown, end: unknown): object {
  return { dtype, shape, data_offsets: [begin, end] };
}

import {
  type KernelTexts,
  kernelBlockId,
  pageBlockId,
  type StoredPage,
} from "../../inspection/stored-page.ts";

/** The page's data without the texts of kernels. */
export function loadPage(): Promise<StoredPage> {
  return unpack<StoredPage>(pageBlockId);
}

const texts = new Map<number, Promise<KernelTexts>>();

/** Source and machine code of a kernel; the same promise every time. */
export function loadKernelTexts(kernel: number): Promise<KernelTexts> {
  const known = texts.get(kernel);
  if (known !== undefined) return known;
  const loading = unpack<KernelTexts>(kernelBlockId(kernel));
  texts.set(kernel, loading);
  return loading;
}

/** Base64 of raw deflate of JSON, as `explorerPage` writes it. */
async function unpack<T>(id: string): Promise<T> {
  const base64 = document.getElementById(id)?.textContent;
  if (base64 === undefined || base64 === null) throw new Error(`The page has no block "${id}".`);
  const packed = atob(base64.trim());
  const bytes = new Uint8Array(packed.length);
  for (let index = 0; index < packed.length; index++) bytes[index] = packed.charCodeAt(index);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Response(stream).json();
}

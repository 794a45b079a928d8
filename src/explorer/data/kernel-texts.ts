import { use } from "react";
import type { KernelTexts } from "../../inspection/stored-page.ts";
import { loadKernelTexts } from "./load-page.ts";

/** Texts of a kernel; suspends until they are unpacked. */
export const useKernelTexts = (kernel: number): KernelTexts => use(loadKernelTexts(kernel));

import { InvalidArgumentError } from "commander";

/** A whole number from 1 on. @throws InvalidArgumentError which commander reports with the flag. */
export function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError("It must be a whole number from 1 on.");
  return value;
}

/** Whole numbers from 1 on, as in `1,8,64`. */
export function counts(text: string): number[] {
  return text.split(",").map(count);
}

/** Names, as in `cpu,emulator`. */
export function names(text: string): string[] {
  return text.split(",").map((name) => name.trim());
}

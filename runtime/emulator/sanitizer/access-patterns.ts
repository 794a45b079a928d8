/** How well the accesses of a warp fit the memory system. */
import { WARP } from "../layout.ts";

const sectors = new Uint32Array(2 * WARP * 4);

/** 32-byte sectors a global access touches. `addresses` are of the active lanes in `lanes`. */
export function countSectors(
  addresses: Float64Array,
  lanes: readonly number[] | Uint8Array,
  active: number,
  bytes: number,
): number {
  let count = 0;
  for (let at = 0; at < active; at++) {
    const address = addresses[lanes[at] ?? 0] ?? 0;
    const last = Math.floor((address + bytes - 1) / 32);
    for (let sector = Math.floor(address / 32); sector <= last; sector++) {
      let isNew = true;
      // Neighbours share sectors, so looking backwards finds them at once.
      for (let seen = count - 1; seen >= 0; seen--) {
        if (sectors[seen] === sector) {
          isNew = false;
          break;
        }
      }
      if (isNew) sectors[count++] = sector;
    }
  }
  return count;
}

const words = new Int32Array(WARP * 8);
const perBank = new Uint8Array(WARP);

/**
 * Extra passes of a shared-memory access: 32 banks of 4 bytes serve one word each per pass. Wide
 * accesses go in 2 (8 bytes) or 4 (16 bytes) rounds of as many lanes as fit 128 bytes.
 */
export function countBankConflicts(
  addresses: Float64Array,
  lanes: readonly number[] | Uint8Array,
  active: number,
  bytes: number,
): number {
  const perRound = bytes <= 4 ? WARP : bytes === 8 ? 16 : 8;
  let conflicts = 0;
  for (let begin = 0; begin < WARP; begin += perRound) {
    perBank.fill(0);
    let count = 0;
    let most = 0;
    for (let at = 0; at < active; at++) {
      const lane = lanes[at] ?? 0;
      if (lane < begin || lane >= begin + perRound) continue;
      const first = (addresses[lane] ?? 0) >> 2;
      const last = ((addresses[lane] ?? 0) + bytes - 1) >> 2;
      for (let word = first; word <= last; word++) {
        let isNew = true;
        for (let seen = 0; seen < count; seen++) {
          if (words[seen] === word) {
            isNew = false;
            break;
          }
        }
        if (!isNew) continue;
        words[count++] = word;
        const bank = word & 31;
        const load = (perBank[bank] ?? 0) + 1;
        perBank[bank] = load;
        if (load > most) most = load;
      }
    }
    if (most > 1) conflicts += most - 1;
  }
  return conflicts;
}

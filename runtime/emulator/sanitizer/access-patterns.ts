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

const maskedLanes = new Uint8Array(WARP);

/** As `countBankConflicts`, of the lanes in a mask. Rows of matrices and 16-byte copies come here. */
export function maskedBankConflicts(addresses: Float64Array, lanes: number, bytes: number): number {
  if (bytes === 16 && isConflictFree(addresses, lanes)) return 0;
  let active = 0;
  for (let lane = 0; lane < WARP; lane++) {
    if ((lanes >>> lane) & 1) maskedLanes[active++] = lane;
  }
  return countBankConflicts(addresses, maskedLanes, active, bytes);
}

/** Each round of eight lanes meets every group of four banks once at most: nearly always so. */
function isConflictFree(addresses: Float64Array, lanes: number): boolean {
  for (let begin = 0; begin < WARP; begin += 8) {
    let groups = 0;
    for (let lane = begin; lane < begin + 8; lane++) {
      if (((lanes >>> lane) & 1) === 0) continue;
      const group = 1 << (((addresses[lane] ?? 0) >> 4) & 7);
      if ((groups & group) !== 0) return false;
      groups |= group;
    }
  }
  return true;
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

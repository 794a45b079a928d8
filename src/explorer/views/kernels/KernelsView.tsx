import { usePlace } from "../../app/place.ts";
import { useProgram } from "../../data/page-context.ts";
import { KernelDetail } from "./KernelDetail.tsx";
import { KernelList } from "./KernelList.tsx";

/** All kernels, or the one the place names. */
export function KernelsView() {
  const { item } = usePlace();
  const { kernels } = useProgram();
  const index = kernels.findIndex(({ entry }) => entry === item);
  return index < 0 ? <KernelList unknown={item} /> : <KernelDetail key={index} index={index} />;
}

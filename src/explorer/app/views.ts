import type { ComponentType } from "react";
import type { StoredPage } from "../../inspection/stored-page.ts";
import { GraphView } from "../views/graph/GraphView.tsx";
import { KernelsView } from "../views/kernels/KernelsView.tsx";
import { MemoryView } from "../views/memory/MemoryView.tsx";
import { OverviewView } from "../views/overview/OverviewView.tsx";
import { DraftTreeView, ReplayView } from "../views/PlacedViews.tsx";
import { RooflineView } from "../views/roofline/RooflineView.tsx";
import { TimelineView } from "../views/timeline/TimelineView.tsx";

export interface View {
  /** First part of the hash. */
  readonly id: string;
  readonly name: string;
  /** Path data of a 24 × 24 outline icon. */
  readonly icon: string;
  readonly component: ComponentType;
  readonly has: (page: StoredPage) => boolean;
}

const hasProgram = ({ program }: StoredPage) => program !== undefined;

/** In the order of the navigation; keys 1 to 9 go to them. */
const views: readonly View[] = [
  {
    id: "overview",
    name: "Overview",
    icon: "M4 4h7v7H4zM13 4h7v4h-7zM13 11h7v9h-7zM4 14h7v6H4z",
    component: OverviewView,
    has: hasProgram,
  },
  {
    id: "graph",
    name: "Graph",
    icon: "M9 3h6v5H9zM3 16h6v5H3zM15 16h6v5h-6zM12 8v4M6 16v-4h12v4",
    component: GraphView,
    has: hasProgram,
  },
  {
    id: "kernels",
    name: "Kernels",
    icon: "M8 6l-5 6l5 6M16 6l5 6l-5 6M13.5 4l-3 16",
    component: KernelsView,
    has: hasProgram,
  },
  {
    id: "roofline",
    name: "Roofline",
    icon: "M4 4v16h16M6.5 16.5L13 8h7M10 17h.01M15 12h.01M17.5 15h.01",
    component: RooflineView,
    has: hasProgram,
  },
  {
    id: "timeline",
    name: "Timeline",
    icon: "M3 6h7v3H3zM10 11h8v3h-8zM16 16h5v3h-5z",
    component: TimelineView,
    has: hasProgram,
  },
  {
    id: "memory",
    name: "Memory",
    icon: "M7 4h10v16H7zM3 8h4M3 12h4M3 16h4M17 8h4M17 12h4M17 16h4",
    component: MemoryView,
    has: hasProgram,
  },
  {
    id: "tree",
    name: "Draft tree",
    icon: "M12 4v5M12 9c0 4-7 2-7 8M12 9v8M12 9c0 4 7 2 7 8M12 2.5v1M5 20h.01M12 20h.01M19 20h.01",
    component: DraftTreeView,
    has: ({ program }) => program?.tree !== undefined && program.tree.parents.length > 1,
  },
  {
    id: "generation",
    name: "Generation",
    icon: "M7 4l12 8l-12 8z",
    component: ReplayView,
    has: ({ generation }) => generation !== undefined,
  },
];

export const viewsOf = (page: StoredPage): readonly View[] => views.filter(({ has }) => has(page));

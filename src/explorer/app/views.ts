import type { ComponentType } from "react";
import type { StoredPage } from "../../inspection/stored-page.ts";
import { KernelsView } from "../views/kernels/KernelsView.tsx";
import { OverviewView } from "../views/overview/OverviewView.tsx";

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
    id: "kernels",
    name: "Kernels",
    icon: "M8 6l-5 6l5 6M16 6l5 6l-5 6M13.5 4l-3 16",
    component: KernelsView,
    has: hasProgram,
  },
];

export const viewsOf = (page: StoredPage): readonly View[] => views.filter(({ has }) => has(page));

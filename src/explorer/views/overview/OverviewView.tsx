import { Title } from "@mantine/core";
import { useProgram } from "../../data/page-context.ts";

export function OverviewView() {
  const program = useProgram();
  return <Title order={2}>{program.title}</Title>;
}

import { Kbd, Modal, Table } from "@mantine/core";
import type { View } from "./views.ts";

/** Every key the page knows. */
export function Shortcuts({
  opened,
  onClose,
  views,
}: {
  readonly opened: boolean;
  readonly onClose: () => void;
  readonly views: readonly View[];
}) {
  const rows: readonly (readonly [keys: readonly string[], does: string])[] = [
    [["Ctrl K", "/"], "Find by name"],
    ...views.map(({ name }, index) => [[`${index + 1}`], name] as const),
    [["T"], "Light or dark"],
    [["↑", "↓", "←", "→"], "Graph: to the next card"],
    [["Enter"], "Graph: open the card's kernel"],
    [["[", "]"], "Kernel: the one before, the one after"],
    [["↑", "↓"], "Code: the line, with what it became or came from"],
    [["Ctrl F"], "Code: search"],
    [["+", "−", "0"], "Chart: zoom in, out, show all"],
    [["←", "→"], "Chart: move"],
    [["?"], "This list"],
  ];
  return (
    <Modal opened={opened} onClose={onClose} title="Keyboard" size="lg">
      <Table>
        <Table.Tbody>
          {rows.map(([keys, does]) => (
            <Table.Tr key={does}>
              <Table.Td w={190}>
                {keys.map((key, index) => (
                  <span key={key}>
                    {index > 0 && " "}
                    <Kbd>{key}</Kbd>
                  </span>
                ))}
              </Table.Td>
              <Table.Td>{does}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Modal>
  );
}

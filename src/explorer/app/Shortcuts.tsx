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
    [["?"], "This list"],
  ];
  return (
    <Modal opened={opened} onClose={onClose} title="Keyboard" size="md">
      <Table>
        <Table.Tbody>
          {rows.map(([keys, does]) => (
            <Table.Tr key={does}>
              <Table.Td w={140}>
                {keys.map((key, index) => (
                  <span key={key}>
                    {index > 0 && " or "}
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

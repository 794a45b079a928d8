import { Group, Paper, Table, Text, TextInput, Title, UnstyledButton } from "@mantine/core";
import { useState } from "react";
import { type Cell, filterRows, type ReportTable, sortRows } from "../tables/table.ts";
import classes from "./page.module.css";

interface Order {
  readonly column: number;
  readonly direction: "up" | "down";
}

/** Tables longer than this can be searched, and show the rest when asked. */
const longTable = 25;

/** A table whose columns sort it by click; once more turns the order round, a third time ends it. */
export function TableCard({ table, id }: { table: ReportTable; id: string }) {
  const [order, setOrder] = useState<Order>();
  const [filter, setFilter] = useState("");
  const [all, setAll] = useState(false);
  const isLong = table.rows.length > longTable;
  const found = filter === "" ? table.rows : filterRows(table.rows, filter);
  const rows = order === undefined ? found : sortRows(found, order.column, order.direction);
  const shown = all ? rows : rows.slice(0, longTable);
  return (
    <Paper withBorder p="lg" id={id} className={classes.target}>
      <Group justify="space-between" mb="sm">
        <Title order={2} size="h4">
          {table.title}
        </Title>
        {isLong && (
          <TextInput
            size="xs"
            placeholder="Find rows"
            aria-label={`Find rows of ${table.title}`}
            value={filter}
            onChange={(event) => setFilter(event.currentTarget.value)}
          />
        )}
      </Group>
      <Table.ScrollContainer minWidth={480}>
        <Table data-table={table.name} highlightOnHover verticalSpacing={5} fz="sm">
          <Table.Thead>
            <Table.Tr>
              {table.columns.map(({ title, align }, column) => (
                <Table.Th key={title} ta={align} aria-sort={ariaSort(order, column)}>
                  <UnstyledButton
                    className={classes.sort}
                    onClick={() => setOrder(nextOrder(order, column, align))}
                  >
                    {title}
                    <span aria-hidden="true">{arrow(order, column)}</span>
                  </UnstyledButton>
                </Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {shown.map((cells) => (
              <Table.Tr key={cells.map(({ text }) => text).join("\0")}>
                {cells.map((cell, column) => (
                  <Table.Td
                    key={table.columns[column]?.title ?? column}
                    ta={table.columns[column]?.align ?? "left"}
                    className={toneClass(cell)}
                  >
                    {cell.text}
                  </Table.Td>
                ))}
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      {!all && rows.length > longTable && (
        <UnstyledButton className={classes.more} onClick={() => setAll(true)}>
          Show all {rows.length} rows
        </UnstyledButton>
      )}
      {rows.length === 0 && (
        <Text size="sm" c="dimmed">
          No row has “{filter}”.
        </Text>
      )}
    </Paper>
  );
}

/** Numbers begin with the largest, names with the first. */
function nextOrder(
  order: Order | undefined,
  column: number,
  align: "left" | "right",
): Order | undefined {
  const first = align === "right" ? "down" : "up";
  if (order?.column !== column) return { column, direction: first };
  return order.direction === first
    ? { column, direction: first === "up" ? "down" : "up" }
    : undefined;
}

function ariaSort(order: Order | undefined, column: number) {
  if (order?.column !== column) return "none";
  return order.direction === "up" ? "ascending" : "descending";
}

function arrow(order: Order | undefined, column: number): string {
  if (order?.column !== column) return "";
  return order.direction === "up" ? " ↑" : " ↓";
}

function toneClass({ tone }: Cell): string | undefined {
  return tone === undefined ? undefined : tone === "good" ? classes.good : classes.bad;
}

import { type ReactNode, useMemo, useState } from "react";
import classes from "./common.module.css";

export interface Column<Row> {
  readonly name: string;
  readonly cell: (row: Row) => ReactNode;
  /** What rows are sorted by; a number sorts largest first and stands to the right. */
  readonly sortBy?: ((row: Row) => number | string) | undefined;
  /** Takes the width the others leave, and cuts what is longer. */
  readonly wide?: boolean | undefined;
}

interface Order {
  readonly column: number;
  readonly reversed: boolean;
}

/** A table whose column heads sort it; at first in the order given. */
export function SortableTable<Row>({
  columns,
  rows,
  keyOf,
  label,
  limit = 200,
  sorted,
}: {
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly keyOf: (row: Row) => string | number;
  readonly label: string;
  /** Rows shown before the reader asks for all. */
  readonly limit?: number;
  /** Column to sort by at first. */
  readonly sorted?: number;
}) {
  const [order, setOrder] = useState<Order | undefined>(
    sorted === undefined ? undefined : { column: sorted, reversed: false },
  );
  const [all, setAll] = useState(false);
  const ordered = useMemo(() => sortRows(rows, columns, order), [rows, columns, order]);
  const shown = all ? ordered : ordered.slice(0, limit);
  const first = rows[0];
  const isNumber = ({ sortBy }: Column<Row>) =>
    first !== undefined && sortBy !== undefined && typeof sortBy(first) === "number";
  const sort = (column: number) =>
    setOrder((now) => ({ column, reversed: now?.column === column ? !now.reversed : false }));
  return (
    <>
      <table className={classes.table} aria-label={label}>
        <thead>
          <tr>
            {columns.map((column, index) => {
              const active = order?.column === index;
              const down = isNumber(column) !== (order?.reversed ?? false);
              return (
                <th
                  key={column.name}
                  data-number={isNumber(column) || undefined}
                  aria-sort={active ? (down ? "descending" : "ascending") : undefined}
                >
                  {column.sortBy === undefined ? (
                    column.name
                  ) : (
                    <button
                      type="button"
                      className={classes.sort}
                      data-sorted={active || undefined}
                      onClick={() => sort(index)}
                    >
                      {column.name}
                      <span aria-hidden="true">{active ? (down ? "↓" : "↑") : ""}</span>
                    </button>
                  )}
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody>
          {shown.map((row) => (
            <tr key={keyOf(row)}>
              {columns.map((column) => (
                <td
                  key={column.name}
                  data-number={isNumber(column) || undefined}
                  data-wide={column.wide}
                >
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {ordered.length > shown.length && (
        <button type="button" className={classes.more} onClick={() => setAll(true)}>
          Show all {ordered.length}
        </button>
      )}
    </>
  );
}

function sortRows<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  order: Order | undefined,
): readonly Row[] {
  const sortBy = order === undefined ? undefined : columns[order.column]?.sortBy;
  if (sortBy === undefined) return rows;
  const sign = order?.reversed === true ? -1 : 1;
  return rows.toSorted((a, b) => {
    const [left, right] = [sortBy(a), sortBy(b)];
    if (typeof left === "number" && typeof right === "number") return sign * (right - left);
    return sign * String(left).localeCompare(String(right), "en", { numeric: true });
  });
}

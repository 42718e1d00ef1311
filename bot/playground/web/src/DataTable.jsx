// table and data_table blocks: the first row is the header; data tables come in pages.
import { useState } from "react";

function words(cell) {
  if (!cell) return "";
  if (cell.type === "raw_number") return cell.text ?? String(cell.value ?? cell.number ?? "");
  if (cell.type === "raw_text") return cell.text;
  if (Array.isArray(cell.elements)) return cell.elements.map(words).join("");
  return cell.text ?? cell.url ?? cell.name ?? "";
}

export function DataTable({ caption, rows, columns = [], pageSize = Infinity }) {
  const [page, setPage] = useState(0);
  const [head, ...body] = rows;
  const pages = Number.isFinite(pageSize) ? Math.ceil(body.length / pageSize) : 1;
  const shown = pages > 1 ? body.slice(page * pageSize, (page + 1) * pageSize) : body;
  const numeric = head.map((_, index) => body.length > 0 && body.every((row) => /^[-+]?[\d.,]+\s*%?$/.test(words(row[index]).trim())));
  const align = (index) => columns?.[index]?.align || (numeric[index] ? "right" : "left");
  return (
    <div className="data-table">
      <div className="data-table-scroll" tabIndex={0} role="region" aria-label={caption || "Table"}>
        <table>
          {caption ? <caption>{caption}</caption> : null}
          <thead>
            <tr>{head.map((cell, index) => <th key={index} scope="col" style={{ textAlign: align(index) }}>{words(cell)}</th>)}</tr>
          </thead>
          <tbody>
            {shown.map((row, at) => (
              <tr key={at}>{row.map((cell, index) => <td key={index} style={{ textAlign: align(index) }}>{words(cell)}</td>)}</tr>
            ))}
          </tbody>
        </table>
      </div>
      {pages > 1 ? (
        <div className="pager">
          <button type="button" disabled={page === 0} onClick={() => setPage(page - 1)}>Previous</button>
          <span>{page * pageSize + 1}–{Math.min((page + 1) * pageSize, body.length)} of {body.length}</span>
          <button type="button" disabled={page === pages - 1} onClick={() => setPage(page + 1)}>Next</button>
        </div>
      ) : null}
    </div>
  );
}

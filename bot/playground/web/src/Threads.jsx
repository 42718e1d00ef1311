// Every thread that the person is in, the newest first, with what they have not read.
import { useEffect, useState } from "react";
import { placeOf, useWorkspace } from "./context.js";
import { ago, channelName, plain } from "./words.js";

export const markOf = (me, channel, ts) => `thread:${me}:${channel}:${ts}`;

export function Threads() {
  const { state, boot, act, dispatch } = useWorkspace();
  const [rows, setRows] = useState(null);
  useEffect(() => {
    act("threads").then((answer) => answer && setRows(answer.threads));
  }, [act, boot.me]);
  return (
    <section className="conversation" aria-label="Threads">
      <div className="head"><h1>Threads</h1></div>
      <div className="scroll threads">
        {rows && !rows.length ? <p className="note">You are in no thread yet.</p> : null}
        <ul>
          {(rows || []).filter((row) => state.channels[row.channel]).map((row) => {
            const info = state.channels[row.channel].info;
            const read = localStorage.getItem(markOf(boot.me, row.channel, row.root.ts)) ?? "0";
            const fresh = row.replies.filter((reply) => reply.ts > read && reply.user !== boot.me).length;
            return (
              <li key={row.channel + row.root.ts}>
                <button type="button" data-unread={fresh > 0} onClick={() => dispatch({ type: "go", place: placeOf(info), thread: row.root.ts })}>
                  <b>{plain(row.root.text, boot).slice(0, 140) || "A message"}</b>
                  <span>{info.kind === "im" ? "" : "#"}{channelName(info, boot)} · {row.replies.length} {row.replies.length === 1 ? "reply" : "replies"} · {ago(row.replies.at(-1).ts)}</span>
                  {fresh ? <span className="badge">{fresh} new</span> : null}
                </button>
              </li>
            );
          })}
        </ul>
      </div>
    </section>
  );
}

// Every thread that the person is in, the newest first, with what they have not read.
import { placeOf, useWorkspace } from "./context.js";
import { ago, channelName, plain } from "./words.js";

export const markOf = (me, channel, ts) => `thread:${me}:${channel}:${ts}`;

// How many replies of others in this thread the person has not seen.
export function unreadIn(row, me) {
  const read = localStorage.getItem(markOf(me, row.channel, row.root.ts)) ?? "0";
  return row.replies.filter((reply) => reply.ts > read && reply.user !== me).length;
}

export function Threads() {
  const { state, boot, dispatch } = useWorkspace();
  const rows = state.threads;
  return (
    <section className="conversation" aria-label="Threads">
      <div className="head"><h1>Threads</h1></div>
      <div className="scroll threads">
        {rows && !rows.length ? <p className="note">You are in no thread yet.</p> : null}
        <ul>
          {(rows || []).filter((row) => state.channels[row.channel]).map((row) => {
            const info = state.channels[row.channel].info;
            const fresh = unreadIn(row, boot.me);
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

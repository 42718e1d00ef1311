// Channels with their unread marks, and the app.
import { placeOf, useWorkspace } from "./context.js";
import { Hash, Lock, Reply } from "./icons.jsx";
import { isOpen } from "./state.js";
import { unreadIn } from "./Threads.jsx";
import { channelName } from "./words.js";

export function Sidebar() {
  const { state, boot, dispatch } = useWorkspace();
  const infos = Object.values(state.channels).map((channel) => channel.info);
  const rooms = infos.filter((info) => info.kind !== "im");
  const direct = infos.filter((info) => info.kind === "im" && info.user === boot.me);
  const unread = (state.threads || []).filter((row) => state.channels[row.channel] && unreadIn(row, boot.me)).length;
  return (
    <nav className="sidebar" aria-label="Channels and apps">
      <ul aria-label="Views">
        <li>
          <button type="button" className="row" data-here={state.place?.kind === "threads"} data-unread={unread > 0} aria-label={`Threads${unread ? `, ${unread} unread` : ""}`} aria-current={state.place?.kind === "threads" ? "page" : undefined} onClick={() => dispatch({ type: "go", place: { kind: "threads" } })}>
            <span className="row-icon"><Reply size={16} /></span>
            <span className="row-name">Threads</span>
            {unread ? <span className="badge">{unread}</span> : null}
          </button>
        </li>
      </ul>
      <h2 id="rooms">Channels</h2>
      <ul aria-labelledby="rooms">{rooms.map((info) => <Row key={info.id} info={info} />)}</ul>
      <h2 id="apps">Apps</h2>
      <ul aria-labelledby="apps">{direct.map((info) => <Row key={info.id} info={info} />)}</ul>
    </nav>
  );
}

function Row({ info }) {
  const { state, boot, dispatch } = useWorkspace();
  const here = isOpen(state, info.id) || (info.kind === "im" && state.place?.kind === "app");
  const unread = info.unread > 0 && !here;
  const label = `${channelName(info, boot)}${unread ? `, ${info.unread} unread` : ""}`;
  return (
    <li>
      <button
        type="button"
        className="row"
        data-here={here}
        data-unread={unread}
        aria-current={here ? "page" : undefined}
        aria-label={label}
        onClick={() => dispatch({ type: "go", place: placeOf(info) })}
      >
        <span className="row-icon">
          {info.kind === "im" ? <img src="/static/icon.svg" alt="" width="20" height="20" /> : info.kind === "group" ? <Lock size={16} /> : <Hash size={16} />}
        </span>
        <span className="row-name">{channelName(info, boot)}</span>
        {info.kind === "im" ? <span className="tag">APP</span> : null}
        {unread && info.mentions ? <span className="badge">{info.mentions}</span> : null}
      </button>
    </li>
  );
}

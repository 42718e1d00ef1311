// One message: who, when, what; its files, reactions and thread; and what one can do with it.
import { useEffect, useRef, useState } from "react";
import { Blocks, Words } from "./Blocks.jsx";
import { useWorkspace } from "./context.js";
import { Bolt, Eye, File, More, Reply, Smile } from "./icons.jsx";
import { ago, clock, findEmoji, fullTime, glyph, initials, plain, size } from "./words.js";

const QUICK = ["eyes", "white_check_mark", "thumbsup", "tada", "heart", "thinking_face"];
const GROUP_SECONDS = 300;

export function Avatar({ user, size: side = 36 }) {
  if (!user || user.is_bot) return <img className="avatar" src="/static/icon.svg" alt="" width={side} height={side} />;
  return (
    <span className="avatar" aria-hidden="true" style={{ background: `#${user.color}`, width: side, height: side, fontSize: side * 0.4 }}>
      {initials(user.real_name)}
    </span>
  );
}

export function Message({ channel, message, before, inThread = false }) {
  const { boot } = useWorkspace();
  const user = boot.users.find((each) => each.id === message.user);
  const together = before && before.user === message.user && !before.is_ephemeral === !message.is_ephemeral && !message.subtype?.startsWith("channel_") && !before.subtype?.startsWith("channel_") && message.ts - before.ts < GROUP_SECONDS && !before.reply_count && !before.files;
  const name = message.username || user?.real_name || message.user;
  if (message.subtype === "channel_join") {
    return (
      <article className="message">
        <div className="gutter"><Avatar user={user} /></div>
        <div className="body"><Line name={name} message={message} user={user} /><p className="joined">joined the channel.</p></div>
      </article>
    );
  }
  return (
    <article className="message" data-compact={Boolean(together)} data-ephemeral={Boolean(message.is_ephemeral)} data-ts={message.ts} aria-label={`${name}, ${clock(message.ts)}`}>
      <div className="gutter">
        {together ? <time className="side-time">{clock(message.ts)}</time> : <Avatar user={user} />}
      </div>
      <div className="body">
        {message.is_ephemeral && !together ? <p className="only-you"><Eye size={14} /> Only visible to you</p> : null}
        {together ? null : <Line name={name} message={message} user={user} />}
        <Content channel={channel} message={message} />
        <Files message={message} />
        <Reactions channel={channel} message={message} />
        {!inThread && message.reply_count ? <ThreadBar message={message} /> : null}
      </div>
      <Toolbar channel={channel} message={message} inThread={inThread} />
    </article>
  );
}

function Line({ name, message, user }) {
  return (
    <div className="who">
      <b>{name}</b>
      {user?.is_bot || message.bot_id ? <span className="tag">APP</span> : null}
      <time dateTime={new Date(message.ts * 1000).toISOString()} title={fullTime(message.ts)}>{clock(message.ts)}</time>
    </div>
  );
}

function Edit({ channel, message }) {
  const { boot, act, dispatch } = useWorkspace();
  const [text, setText] = useState(() => plain(message.text, boot));
  const leave = () => dispatch({ type: "edit", ts: null });
  const save = async () => {
    if (text.trim() && (await act("edit", { channel, ts: message.ts, text }))) leave();
  };
  const key = (event) => {
    if (event.key === "Escape") {
      event.preventDefault();
      leave();
    } else if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
      event.preventDefault();
      save();
    }
  };
  return (
    <div className="edit">
      <textarea autoFocus rows={2} value={text} aria-label="Edit message" onChange={(event) => setText(event.target.value)} onKeyDown={key} />
      <button type="button" className="button" onClick={leave}>Cancel</button>
      <button type="button" className="button primary" onClick={save}>Save</button>
    </div>
  );
}

function Content({ channel, message }) {
  const { act, boot, state } = useWorkspace();
  const use = (block, element, value) =>
    act("click", { channel, ts: message.ts, action_id: element.action_id, block_id: block.block_id, value });
  const suggest = (block, element, value) =>
    act("suggest", { channel, ts: message.ts, action_id: element.action_id, block_id: block.block_id, value });
  const streaming = message.streaming_state === "in_progress";
  if (state.editing === message.ts && message.user === boot.me) return <Edit channel={channel} message={message} />;
  return (
    <div className="content" data-streaming={streaming} aria-busy={streaming}>
      {message.blocks?.length ? <Blocks blocks={message.blocks} use={use} suggest={suggest} /> : message.text ? <Words text={message.text} /> : null}
      {(message.attachments || []).map((part, index) => (
        <div key={index} className="attachment" style={{ borderColor: part.color ? `#${part.color.replace("#", "")}` : undefined }}>
          {part.blocks ? <Blocks blocks={part.blocks} use={use} suggest={suggest} /> : <Words text={part.text || part.fallback || ""} />}
        </div>
      ))}
      {message.edited && !message.bot_id ? <span className="edited">(edited)</span> : null}
    </div>
  );
}

function Files({ message }) {
  if (!message.files?.length) return null;
  return (
    <div className="files">
      {message.files.map((file) =>
        file.mimetype.startsWith("image/") ? (
          <figure key={file.id}>
            <figcaption>{file.title || file.name}</figcaption>
            <a href={`/client/file/${file.id}`} target="_blank" rel="noreferrer">
              <img src={`/client/file/${file.id}`} alt={file.alt_txt || file.title || file.name} width={file.original_w} height={file.original_h} />
            </a>
          </figure>
        ) : (
          <a key={file.id} className="file" href={`/client/file/${file.id}`} download={file.name}>
            <span className="file-icon"><File size={22} /></span>
            <span>
              <b>{file.title || file.name}</b>
              <small>{file.filetype.toUpperCase()} · {size(file.size)}</small>
            </span>
          </a>
        ),
      )}
    </div>
  );
}

function Reactions({ channel, message }) {
  const { boot, act } = useWorkspace();
  if (!message.reactions?.length) return null;
  const named = (ids) => ids.map((id) => boot.users.find((user) => user.id === id)?.real_name || id).join(", ");
  return (
    <div className="reactions">
      {message.reactions.map((reaction) => (
        <button
          key={reaction.name}
          type="button"
          data-mine={reaction.users.includes(boot.me)}
          aria-pressed={reaction.users.includes(boot.me)}
          title={`${named(reaction.users)} reacted with :${reaction.name}:`}
          onClick={() => act("react", { channel, ts: message.ts, name: reaction.name })}
        >
          <span className="emoji">{glyph(reaction.name)}</span> <span>{reaction.count}</span>
        </button>
      ))}
    </div>
  );
}

function ThreadBar({ message }) {
  const { boot, dispatch } = useWorkspace();
  return (
    <button type="button" className="thread-bar" onClick={() => dispatch({ type: "thread", ts: message.ts })}>
      {(message.reply_users || []).slice(0, 4).map((id) => <Avatar key={id} size={22} user={boot.users.find((user) => user.id === id)} />)}
      <b>{message.reply_count} {message.reply_count === 1 ? "reply" : "replies"}</b>
      <span>Last reply {ago(message.latest_reply)}</span>
    </button>
  );
}

function Toolbar({ channel, message, inThread }) {
  const { boot, act, dispatch } = useWorkspace();
  const [open, setOpen] = useState(null);
  const [wanted, setWanted] = useState("");
  const place = useRef(null);
  useEffect(() => {
    if (!open) return undefined;
    const away = (event) => {
      const left = event.type === "pointerdown" && !place.current.contains(event.target);
      if (left || event.key === "Escape") setOpen(null);
      if (event.key === "Escape") event.preventDefault();
    };
    document.addEventListener("pointerdown", away);
    document.addEventListener("keydown", away, true);
    return () => {
      document.removeEventListener("pointerdown", away);
      document.removeEventListener("keydown", away, true);
    };
  }, [open]);
  const drop = () => {
    setOpen(null);
    act("delete", { channel, ts: message.ts });
  };
  if (message.is_ephemeral) {
    return (
      <div className="tools" ref={place}>
        <button type="button" aria-label="Dismiss message" className="text-tool" onClick={drop}>Dismiss</button>
      </div>
    );
  }
  const thread = message.thread_ts || message.ts;
  const shortcuts = boot.app.shortcuts.filter((shortcut) => shortcut.kind === "message");
  return (
    <div className="tools" ref={place} data-open={Boolean(open)}>
      <button type="button" aria-label="Add reaction" aria-expanded={open === "react"} onClick={() => setOpen(open === "react" ? null : "react")}><Smile /></button>
      {inThread ? null : (
        <button type="button" aria-label="Reply in thread" onClick={() => dispatch({ type: "thread", ts: thread })}><Reply /></button>
      )}
      <button type="button" aria-label="More actions" aria-haspopup="menu" aria-expanded={open === "more"} onClick={() => setOpen(open === "more" ? null : "more")}><More /></button>
      {open === "react" ? (
        <div className="menu react-menu" role="menu" aria-label="Reactions">
          <input autoFocus value={wanted} placeholder="Find an emoji" aria-label="Find an emoji" onChange={(event) => setWanted(event.target.value)} />
          {(wanted.length > 1 ? findEmoji(wanted.toLowerCase()).map((found) => found.name) : QUICK).map((name) => (
            <button key={name} type="button" role="menuitem" aria-label={name} onClick={() => { setOpen(null); act("react", { channel, ts: message.ts, name }); }}><span className="emoji">{glyph(name)}</span></button>
          ))}
        </div>
      ) : null}
      {open === "more" ? (
        <div className="menu" role="menu" aria-label="Message actions">
          {shortcuts.map((shortcut) => (
            <button key={shortcut.callback_id} type="button" role="menuitem" onClick={() => { setOpen(null); act("shortcut", { callback_id: shortcut.callback_id, channel, ts: message.ts }); }}>
              <Bolt size={16} />
              <span>{shortcut.name}<small>{boot.bot.name}</small></span>
            </button>
          ))}
          <button type="button" role="menuitem" onClick={() => { setOpen(null); navigator.clipboard?.writeText(`${location.origin}/archives/${channel}/p${message.ts.replace(".", "")}`); }}>
            <span>Copy link</span>
          </button>
          {message.user === boot.me ? <button type="button" role="menuitem" onClick={() => { setOpen(null); dispatch({ type: "edit", ts: message.ts }); }}><span>Edit message</span></button> : null}
          {message.user === boot.me ? <button type="button" role="menuitem" className="danger" onClick={drop}><span>Delete message</span></button> : null}
        </div>
      ) : null}
    </div>
  );
}

// The top bar: workspace, whether the app is connected, light or dark, and who you are.
import { useEffect, useRef, useState } from "react";
import { useWorkspace } from "./context.js";
import { Down, Moon, Sun } from "./icons.jsx";
import { Avatar } from "./Message.jsx";

export function Bar({ flipTheme, switchTo }) {
  const { boot, state, theme, dispatch } = useWorkspace();
  const online = boot.connected > 0;
  const said = state.live === "closed" ? "Reconnecting to the workspace…" : online ? `${boot.bot.name} is connected` : `${boot.bot.name} is not connected`;
  return (
    <header className="bar">
      <div className="bar-team">
        <span className="team-mark" aria-hidden="true">N</span>
        <span className="team-name">{boot.team.name}</span>
      </div>
      <div className="bar-state" role="status" data-online={online && state.live !== "closed"}>
        <i aria-hidden="true" />
        {said}
      </div>
      <div className="bar-tools">
        <button type="button" className="search-button" aria-label="Search (Ctrl+K)" title="Search (Ctrl+K)" onClick={() => dispatch({ type: "finder", open: true })}>Search</button>
        <button type="button" className="icon-button" onClick={flipTheme} aria-label={theme === "dark" ? "Use light colours" : "Use dark colours"}>
          {theme === "dark" ? <Sun /> : <Moon />}
        </button>
        <PersonMenu switchTo={switchTo} />
      </div>
    </header>
  );
}

function PersonMenu({ switchTo }) {
  const { boot } = useWorkspace();
  const [open, setOpen] = useState(false);
  const menu = useRef(null);
  const me = boot.users.find((user) => user.id === boot.me);
  useEffect(() => {
    if (!open) return undefined;
    const away = (event) => {
      if (event.key === "Escape" || (event.type === "pointerdown" && !menu.current.contains(event.target))) setOpen(false);
    };
    document.addEventListener("pointerdown", away);
    document.addEventListener("keydown", away);
    return () => {
      document.removeEventListener("pointerdown", away);
      document.removeEventListener("keydown", away);
    };
  }, [open]);
  return (
    <div className="person-menu" ref={menu}>
      <button type="button" className="person-button" aria-haspopup="menu" aria-expanded={open} onClick={() => setOpen(!open)}>
        <Avatar user={me} size={26} />
        <span className="person-name">{me.real_name}</span>
        <Down size={14} />
      </button>
      {open ? (
        <div className="menu" role="menu" aria-label="Who are you?">
          <p className="menu-title">Be someone else</p>
          {boot.users.filter((user) => !user.is_bot).map((user) => (
            <button
              key={user.id}
              type="button"
              role="menuitemradio"
              aria-checked={user.id === boot.me}
              onClick={() => {
                setOpen(false);
                switchTo(user.name);
              }}
            >
              <Avatar user={user} size={32} />
              <span>
                <b>{user.real_name}</b>
                <small>{user.profile.title}</small>
              </span>
            </button>
          ))}
        </div>
      ) : null}
    </div>
  );
}

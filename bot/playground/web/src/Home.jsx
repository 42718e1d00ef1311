// The App Home tab, as the app published it for this person.
import { useState } from "react";
import { Blocks } from "./Blocks.jsx";
import { useWorkspace } from "./context.js";

export function Home() {
  const { state, boot, act } = useWorkspace();
  const [values, setValues] = useState({});
  const view = state.home;
  if (!view) {
    return (
      <div className="scroll home-empty">
        <img src="/static/icon.svg" alt="" width="56" height="56" />
        <p>{boot.bot.name} has not published its Home yet.</p>
      </div>
    );
  }
  const form = { values, errors: {}, set: (block, action, entered) => setValues((before) => ({ ...before, [block]: { ...before[block], [action]: entered } })) };
  const use = (block, element, value) => act("view_action", { view_id: view.id, action_id: element.action_id, block_id: block.block_id, value, state: values });
  const suggest = (block, element, value) => act("suggest", { view_id: view.id, action_id: element.action_id, block_id: block.block_id, value });
  return (
    <div className="scroll home" tabIndex={0} role="region" aria-label="Home">
      <div className="home-inner"><Blocks blocks={view.blocks} use={use} suggest={suggest} form={form} /></div>
    </div>
  );
}

// Block Kit on the page. What can be used (buttons, selects, inputs) is ours; what is only read is drawn by
// slack-blocks-to-jsx, except data tables and number cells, which it does not draw.
import { Component, useEffect, useMemo, useRef, useState } from "react";
import { Message as Drawn } from "slack-blocks-to-jsx";
import { useWorkspace } from "./context.js";
import { Control } from "./controls.jsx";
import { DataTable } from "./DataTable.jsx";
import { Down } from "./icons.jsx";
import { Field } from "./Field.jsx";
import { glyph } from "./words.js";

// slack-blocks-to-jsx draws verbatim text without any markup; Slack only stops linking names and addresses.
const marked = (block) => JSON.parse(JSON.stringify(block, (key, value) => (key === "verbatim" ? undefined : value)));

export function Words({ text }) {
  return <Read block={{ type: "section", text: { type: "mrkdwn", text } }} />;
}

// use(block, element, value) when something is clicked or chosen; form: {values, set, errors} inside a modal.
export function Blocks({ blocks, use, suggest, form }) {
  return blocks.map((block, index) => <Block key={block.block_id || index} block={block} use={use} suggest={suggest} form={form} />);
}

function Block({ block, use, suggest, form }) {
  const control = (element) => (
    <Control key={element.action_id} element={element} form={form} block={block} use={(value) => use(block, element, value)} suggest={(typed) => suggest(block, element, typed)} />
  );
  switch (block.type) {
    case "actions":
    case "context_actions":
      return <div className={`block-${block.type}`}>{block.elements.map(control)}</div>;
    case "section":
      if (!block.accessory || block.accessory.type === "image") return <Read block={block} />;
      return (
        <div className="block-accessory">
          <Read block={{ ...block, accessory: undefined }} />
          <div>{control(block.accessory)}</div>
        </div>
      );
    case "input":
      return <Field block={block} form={form}>{control(block.element)}</Field>;
    case "container":
      return <Container block={block}><Blocks blocks={block.child_blocks} use={use} suggest={suggest} form={form} /></Container>;
    case "card":
      return (
        <div className="block-card">
          <Read block={{ ...block, actions: undefined }} />
          {block.actions?.length ? <div className="block-actions">{block.actions.map(control)}</div> : null}
        </div>
      );
    case "carousel":
      return <div className="block-carousel">{block.elements.map((card, index) => <Block key={index} block={{ ...card, type: "card", block_id: block.block_id }} use={use} suggest={suggest} />)}</div>;
    case "data_table":
      return <DataTable caption={block.caption} rows={block.rows} pageSize={block.page_size || 5} />;
    case "table":
      return <DataTable rows={block.rows} columns={block.column_settings} />;
    case "image":
      return <Picture block={block} />;
    default:
      return <Read block={block} />;
  }
}

function Container({ block, children }) {
  const [open, setOpen] = useState(!block.default_collapsed);
  const title = block.title?.text || "";
  return (
    <section className="block-container" data-width={block.width || "standard"}>
      {block.is_collapsible ? (
        <button type="button" className="container-head" aria-expanded={open} onClick={() => setOpen(!open)}>
          <b>{title}</b>
          <Down size={16} />
        </button>
      ) : (
        <div className="container-head"><b>{title}</b></div>
      )}
      {block.subtitle ? <p className="container-sub">{block.subtitle.text}</p> : null}
      {open ? <div className="container-body">{children}</div> : null}
    </section>
  );
}

function Picture({ block }) {
  const source = block.slack_file ? fileAddress(block.slack_file) : block.image_url;
  return (
    <figure className="block-image">
      {block.title ? <figcaption>{block.title.text}</figcaption> : null}
      <img src={source} alt={block.alt_text} loading="lazy" />
    </figure>
  );
}

const fileAddress = (file) => `/client/file/${file.id || file.url?.match(/-(F\w+)/)?.[1]}`;

const hooks = {
  emoji: (data) => <span className="emoji" role="img" aria-label={data.name}>{glyph(data.name)}</span>,
  link: ({ href, children }) => <a href={href} target="_blank" rel="noreferrer noopener">{children}</a>,
};

function Read({ block }) {
  const { boot, theme } = useWorkspace();
  const data = useMemo(
    () => ({
      users: boot.users.map((user) => ({ id: user.id, name: user.is_bot ? user.name : user.real_name })),
      channels: boot.channels.map((channel) => ({ id: channel.id, name: channel.name || boot.bot.name })),
      user_groups: boot.usergroups.map((group) => ({ id: group.id, name: group.handle })),
    }),
    [boot],
  );
  const blocks = useMemo(() => [marked(block)], [JSON.stringify(block)]);
  const box = useRef(null);
  // what the library draws as decoration says nothing: a screen reader passes over it
  useEffect(() => box.current?.querySelectorAll("svg:not([aria-hidden]), img:not([alt])").forEach((mark) => mark.setAttribute("aria-hidden", "true")));
  return (
    <div className="read" ref={box}>
      <Guard key={JSON.stringify(block)} block={block}>
        <Drawn blocks={blocks} name="" logo="" theme={theme} withoutWrapper hooks={hooks} data={data} />
      </Guard>
    </div>
  );
}

// A block that the drawing library cannot draw shows what it holds instead of taking the page down.
class Guard extends Component {
  state = { failed: false };

  static getDerivedStateFromError() {
    return { failed: true };
  }

  render() {
    if (!this.state.failed) return this.props.children;
    return <pre className="undrawn">{JSON.stringify(this.props.block, null, 1)}</pre>;
  }
}

// One input of a form: label, control, hint, and the error on it.
export function Field({ block, form, children }) {
  const error = form?.errors[block.block_id];
  return (
    <div className="field" data-error={Boolean(error)} data-block={block.block_id}>
      <label htmlFor={`${block.block_id}-${block.element.action_id}`}>
        {block.label.text}
        {block.optional ? <span className="optional"> (optional)</span> : null}
      </label>
      {children}
      {block.hint && !error ? <p className="hint">{block.hint.text}</p> : null}
      {error ? <p className="field-error" id={`${block.block_id}-error`} role="alert">{error}</p> : null}
    </div>
  );
}

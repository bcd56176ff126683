/** Copies text, or shows it to be copied where the browser refuses. */

export async function copy(text, notice, said) {
  try {
    await navigator.clipboard.writeText(text);
    notice.textContent = said;
  } catch {
    // Pages that are not served by https or this machine have no clipboard.
    const field = document.getElementById("copy-text");
    field.value = text;
    document.getElementById("copy-dialog").showModal();
    field.select();
  }
}

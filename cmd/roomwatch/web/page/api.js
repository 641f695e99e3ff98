// Questions to the daemon.

const patience = 8000; // milliseconds until a question counts as unanswered

// ask returns the answer to a question, or throws an Error with a text for people.
export async function ask(path, signal) {
  const limit = AbortSignal.timeout(patience);
  const response = await fetch(path, { cache: 'no-store', signal: signal ? AbortSignal.any([signal, limit]) : limit });
  if (response.ok) return response.json(); // throws if the answer is cut
  const body = await response.json().catch(() => ({}));
  throw new Error(body.error || `the daemon answers with status ${response.status}`);
}

// repeat calls work again and again: after pause() milliseconds when it went
// well, and later and later while it does not. A page that nobody sees asks for
// nothing.
export function repeat(work, pause, most = 15000) {
  let failures = 0;
  const turn = async () => {
    if (!document.hidden) {
      try {
        await work();
        failures = 0;
      } catch {
        failures++;
      }
    }
    setTimeout(turn, failures ? Math.min(most, 1000 * 2 ** (failures - 1)) : pause);
  };
  document.addEventListener('visibilitychange', () => { if (!document.hidden) work().catch(() => {}); });
  turn();
}

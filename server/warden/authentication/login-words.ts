// Owns: what the client of a login is told, in the protocol's words and in words for its person.
// Must never: tell anything about a name, a key or a guess to whoever has proved nothing.
import type { LoginStep } from '../../domain/login-machine.ts';
import type { EdgeToWarden } from '../../rpc/edge-warden.ts';
import type { Result } from '../../rpc/operation.ts';

type Outcome = Result<EdgeToWarden, 'login.attempt'>;

/** Nobody reads this before a proof of his counted, and it says nothing about a code that could still be used. */
export const usedCode = 'this code was used already; wait for the next one';

/** Says whose code or ticket is asked for, because a person may have accounts at several installations. */
export function asking(
  prompt: Extract<Outcome, { outcome: 'prompt' }>,
  username: string,
  installation: string,
  hasUsedCode: boolean,
): Outcome {
  const [{ text, echo } = { text: '', echo: false }] = prompt.prompts;
  return {
    ...prompt,
    instruction: hasUsedCode ? usedCode : '',
    prompts: [{ text: `${text} of ${username} at Cofferdam ${installation.slice(0, 8)}: `, echo }],
  };
}

/** Translates the login machine's answer into the protocol's words. An accepted login is answered by `openSession`. */
export function spoken(step: LoginStep): Outcome {
  switch (step.outcome) {
    case 'partial':
    case 'refused':
      return { outcome: step.outcome, methods: [...step.methods] };
    case 'prompt':
      return {
        outcome: 'prompt',
        name: '',
        instruction: '',
        prompts: [{ text: step.asks === 'ticket' ? 'Enrolment ticket' : 'Verification code', echo: false }],
      };
    case 'key-acceptable':
      return { outcome: 'key-acceptable' };
    case 'accepted':
    case 'closed':
      return { outcome: 'closed' };
  }
}

// Owns: an alert as the process that raised it tells it, whatever became of its row.

export type RaisedAlert = {
  /** The row in the database; null when the database made none. */
  readonly id: string | null;
  readonly kind: string;
  readonly severity: 'notice' | 'warning' | 'critical';
  readonly subject: string;
  readonly text: string;
  readonly facts: unknown;
  readonly nextCommand: string;
  readonly contact: string | null;
  readonly contactText: string | null;
  /** What the database did with the row and an honest one does not; null when there is nothing to say. */
  readonly oddity: string | null;
};
/** Hears each alert when its transaction has ended, unless that undid it. */
export type AlertSink = (alert: RaisedAlert) => void;

/** The event types that a user's browser hears. */
export const typesFor = (user: string): string[] => ["booking.*", "report.*", `note.${user}.*`, `session.${user}.*`];

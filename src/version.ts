import project from "../deno.json" with { type: "json" };

/** This version of Scion, as it is written into configurations and checkpoints. */
export const version: string = project.version;

/** The version of Deno that Scion is made and tested with; an older one may lack what it needs. `setup` reads it here. */
export const pinnedDeno = "2.9.6";

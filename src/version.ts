import project from "../deno.json" with { type: "json" };

/** This version of Scion, as it is written into configurations and checkpoints. */
export const version: string = project.version;

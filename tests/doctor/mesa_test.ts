import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { adviseMesa } from "../../src/doctor/mesa.ts";

const debian = (version: string) => `PRETTY_NAME="Debian"\nVERSION_ID="${version}"\nID=debian\n`;
const ubuntu = 'VERSION_ID="12"\nID=ubuntu\nID_LIKE=debian\n';
const packages = (version: string, status = "install ok installed") =>
  `Package: libvulkan1\nStatus: install ok installed\nVersion: 1.3.239.0-1\n\n` +
  `Package: mesa-vulkan-drivers\nStatus: ${status}\nArchitecture: amd64\nVersion: ${version}\n\n` +
  `Package: zlib1g\nStatus: install ok installed\nVersion: 1:1.2.13\n`;

Deno.test("Debian 12 with its own Mesa and the software driver: how to get the faster one", () => {
  const facts = { osRelease: debian("12"), packages: packages("22.3.6-1+deb12u2") };
  const advice = adviseMesa(facts, true)!;
  assertMatch(advice.what, /1\.35 times faster than 22\.3\.6; here is 22\.3\.6$/);
  assertStringIncludes(
    advice.mend,
    "\napt-get install --target-release bookworm-backports mesa-vulkan-drivers\n",
  );
});

Deno.test("no advice for a GPU, another system, a newer Mesa, or where nothing is known", () => {
  const own = packages("22.3.6-1+deb12u2");
  const osRelease = debian("12");
  assertEquals(adviseMesa({ osRelease, packages: own }, false), undefined);
  for (
    const facts of [
      { osRelease: debian("13"), packages: own },
      { osRelease: ubuntu, packages: own },
      { osRelease, packages: packages("25.0.7-2~bpo12+1") },
      { osRelease, packages: packages("22.3.6-1", "deinstall ok config-files") },
      { osRelease, packages: "Package: zlib1g\nStatus: install ok installed\nVersion: 1\n" },
      { osRelease, packages: undefined },
      { osRelease: undefined, packages: own },
    ]
  ) assertEquals(adviseMesa(facts, true), undefined, JSON.stringify(facts));
});

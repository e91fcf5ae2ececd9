// The text that the tests of the decompressors expect: the same bytes that the real tools were
// given to make the compressed fixtures. It has text, a long run, noise, machine code with calls
// (for the x86 filter), and a repetition from far back.

/** 2,309 bytes, always the same. */
export function sample(): Uint8Array<ArrayBuffer> {
  const bytes: number[] = []
  const text = (line: string): void => {
    for (const char of line) bytes.push(char.charCodeAt(0))
  }
  for (let i = 0; i < 30; i++) text(`domain ${i}: event channel ${(i * i) % 17} is bound\n`)
  for (let i = 0; i < 700; i++) bytes.push(0x61)
  let noise = 1
  for (let i = 0; i < 64; i++) {
    noise = (Math.imul(noise, 1664525) + 1013904223) | 0
    bytes.push(noise >>> 24)
  }
  // CALLs and JMPs to few targets, close enough to be taken for each other's operands at times.
  for (let i = 0; i < 40; i++) {
    const displacement = (i % 3) * 0x1234 - bytes.length - 5
    bytes.push(i % 4 === 0 ? 0xe9 : 0xe8)
    for (let byte = 0; byte < 4; byte++) bytes.push((displacement >> (8 * byte)) & 0xff)
    if (i % 5 === 0) bytes.push(0xe8, 0x90, 0x00)
  }
  return Uint8Array.from([...bytes, ...bytes.slice(0, 240)])
}

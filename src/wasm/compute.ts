// What integer instructions compute (WebAssembly specification 4.3.2), on constants. The numbers are
// opcodes. Undefined where the instruction traps or is not one of integers to integers.

/** An i32 instruction on signed operands; `b` is ignored by those with one operand. */
export function compute32(code: number, a: number, b: number): number | undefined {
  switch (code) {
    case 0x46:
      return a === b ? 1 : 0
    case 0x47:
      return a !== b ? 1 : 0
    case 0x48:
      return a < b ? 1 : 0
    case 0x49:
      return a >>> 0 < b >>> 0 ? 1 : 0
    case 0x4a:
      return a > b ? 1 : 0
    case 0x4b:
      return a >>> 0 > b >>> 0 ? 1 : 0
    case 0x4c:
      return a <= b ? 1 : 0
    case 0x4d:
      return a >>> 0 <= b >>> 0 ? 1 : 0
    case 0x4e:
      return a >= b ? 1 : 0
    case 0x4f:
      return a >>> 0 >= b >>> 0 ? 1 : 0
    case 0x67:
      return Math.clz32(a)
    case 0x68:
      return a === 0 ? 32 : 31 - Math.clz32(a & -a)
    case 0x69:
      return ones(a)
    case 0x6a:
      return (a + b) | 0
    case 0x6b:
      return (a - b) | 0
    case 0x6c:
      return Math.imul(a, b)
    case 0x6d:
      return b === 0 || (a === -0x8000_0000 && b === -1) ? undefined : (a / b) | 0
    case 0x6e:
      return b === 0 ? undefined : ((a >>> 0) / (b >>> 0)) | 0
    case 0x6f:
      return b === 0 ? undefined : (a % b) | 0
    case 0x70:
      return b === 0 ? undefined : ((a >>> 0) % (b >>> 0)) | 0
    case 0x71:
      return a & b
    case 0x72:
      return a | b
    case 0x73:
      return a ^ b
    case 0x74:
      return a << b
    case 0x75:
      return a >> b
    case 0x76:
      return (a >>> b) | 0
    case 0x77:
      return (a << b) | (a >>> -b)
    case 0x78:
      return (a >>> b) | (a << -b)
    case 0xc0:
      return (a << 24) >> 24
    case 0xc1:
      return (a << 16) >> 16
  }
  return undefined
}

/** An i64 instruction on signed operands; comparisons give 0n or 1n. */
export function compute64(code: number, a: bigint, b: bigint): bigint | undefined {
  switch (code) {
    case 0x51:
      return a === b ? 1n : 0n
    case 0x52:
      return a !== b ? 1n : 0n
    case 0x53:
      return a < b ? 1n : 0n
    case 0x54:
      return unsigned(a) < unsigned(b) ? 1n : 0n
    case 0x55:
      return a > b ? 1n : 0n
    case 0x56:
      return unsigned(a) > unsigned(b) ? 1n : 0n
    case 0x57:
      return a <= b ? 1n : 0n
    case 0x58:
      return unsigned(a) <= unsigned(b) ? 1n : 0n
    case 0x59:
      return a >= b ? 1n : 0n
    case 0x5a:
      return unsigned(a) >= unsigned(b) ? 1n : 0n
    case 0x79:
      return BigInt(high(a) === 0 ? 32 + Math.clz32(low(a)) : Math.clz32(high(a)))
    case 0x7a:
      return trailingZeros(a)
    case 0x7b:
      return BigInt(ones(low(a)) + ones(high(a)))
    case 0x7c:
      return signed(a + b)
    case 0x7d:
      return signed(a - b)
    case 0x7e:
      return signed(a * b)
    case 0x7f:
      return b === 0n || (a === -(1n << 63n) && b === -1n) ? undefined : a / b
    case 0x80:
      return b === 0n ? undefined : signed(unsigned(a) / unsigned(b))
    case 0x81:
      return b === 0n ? undefined : a % b
    case 0x82:
      return b === 0n ? undefined : signed(unsigned(a) % unsigned(b))
    case 0x83:
      return a & b
    case 0x84:
      return a | b
    case 0x85:
      return a ^ b
    case 0x86:
      return signed(a << (b & 63n))
    case 0x87:
      return a >> (b & 63n)
    case 0x88:
      return signed(unsigned(a) >> (b & 63n))
    case 0x89:
      return signed((a << (b & 63n)) | (unsigned(a) >> (-b & 63n)))
    case 0x8a:
      return signed((unsigned(a) >> (b & 63n)) | (a << (-b & 63n)))
    case 0xc2:
      return BigInt.asIntN(8, a)
    case 0xc3:
      return BigInt.asIntN(16, a)
    case 0xc4:
      return BigInt.asIntN(32, a)
  }
  return undefined
}

function signed(n: bigint): bigint {
  return BigInt.asIntN(64, n)
}

function unsigned(n: bigint): bigint {
  return BigInt.asUintN(64, n)
}

function low(n: bigint): number {
  return Number(BigInt.asIntN(32, n))
}

function high(n: bigint): number {
  return Number(BigInt.asIntN(32, n >> 32n))
}

function trailingZeros(n: bigint): bigint {
  if (n === 0n) return 64n
  const half = low(n)
  const word = half === 0 ? high(n) : half
  return BigInt(31 - Math.clz32(word & -word) + (half === 0 ? 32 : 0))
}

function ones(n: number): number {
  let count = 0
  for (let rest = n; rest !== 0; rest &= rest - 1) count++
  return count
}

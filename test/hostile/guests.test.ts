// Guests that go wrong, by accident or by intent, each alone on a host that outlives all of them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SHUTDOWN_crash, SHUTDOWN_poweroff } from '../../src/xen/abi/sched.ts'
import { vcpu_hvm_x86_32, vcpu_hvm_x86_64 } from '../../src/xen/abi/hvm-vcpu.ts'
import { HostileHost, kernel32, kernel64, type Outcome, type Run } from './hostile-guest.ts'
import { Random } from './random.ts'

const host = new HostileHost()

function endsByPowerOff({ state, reason, cause }: Outcome): void {
  assert.deepEqual([state, reason, cause], ['ended', SHUTDOWN_poweroff, ''])
}

function tripleFaults({ state, cause }: Outcome, pattern: RegExp): void {
  assert.equal(state, 'ended')
  assert.match(cause, pattern)
}

test('a triple fault ends the domain and is told with RIP and vector', async () => {
  const outcome = await host.run(kernel32('mov eax, 1\nud2'))
  tripleFaults(outcome, /triple fault at RIP 0x100005: vector 6 /)
})

test('a jump to where no memory is ends the domain', async () => {
  tripleFaults(
    await host.run(kernel32('mov eax, 0xd0000000\njmp eax')),
    /RIP 0xd0000000 .*no memory/,
  )
})

test('an endless loop can be ended between two steps', async () => {
  const outcome = await host.run(kernel32('jmp $'), { steps: 20 })
  assert.equal(outcome.state, 'runs')
  assert.equal((await host.run(kernel64('main: sti\njmp $'), { steps: 20 })).state, 'runs')
})

test('HLT with interrupts off on the last processor switches the power off', async () => {
  endsByPowerOff(await host.run(kernel32('cli\nhlt')))
})

test('HLT with interrupts on and nothing to come waits', async () => {
  assert.equal((await host.run(kernel32('sti\nhlt\njmp $'))).state, 'waits')
})

/** 32-bit code that puts one word in the page directory at 2 MiB and switches paging on. */
function paging32(entry: string, then = 'jmp $'): string {
  return `
    mov eax, 0x200000
    mov ecx, 1024
    mov edi, eax
  .fill:
    mov dword [edi], ${entry}
    add edi, 4
    loop .fill
    mov edx, cr4
    or edx, 0x10
    mov cr4, edx
    mov cr3, eax
    mov edx, cr0
    or edx, 0x80010000
    mov cr0, edx
    ${then}`
}

test('page tables that point at themselves translate as they say', async () => {
  tripleFaults(await host.run(kernel32(paging32('0x200067'))), /vector (6|13|14) /)
})

test('page tables beyond memory fault', async () => {
  tripleFaults(await host.run(kernel32(paging32('0xfffff067'))), /vector 14 /)
  tripleFaults(await host.run(kernel32(paging32('0x40000067'))), /vector 14 /)
  tripleFaults(await host.run(kernel32(paging32('0x800000e7'))), /no memory/)
})

test('CR3 anywhere is survived', async () => {
  for (const root of ['0x7ffffff000', '0xffffff000', '0xfee00000', '0xfff', '0xffffffffff000']) {
    const outcome = await host.run(kernel64(`main: mov rax, ${root}\nmov cr3, rax\njmp $`))
    tripleFaults(outcome, /triple fault/)
  }
})

test('a PML4 entry that points at the PML4 is a page like any other', async () => {
  const source = `main:
    mov rax, TABLES + 7
    mov [TABLES + 8 * 511], rax
    mov rbx, 0xfffffffffffff000          ; the PML4 through itself
    mov rax, [rbx + 8 * 511]
    call print
    mov qword [rbx + 8], TABLES + 0x1007 ; a second mapping of the low 512 GiB
    mov rbx, 0x8000000000
    lea rax, [rbx + .there]
    jmp rax
  .there:
    mov qword [TABLES], 0                ; now only the second one is left
    mov rax, cr3
    mov cr3, rax
    jmp power_off`
  const outcome = await host.run(kernel64(source))
  assert.match(outcome.text, /^0000000000200027\n/)
  tripleFaults(outcome, /triple fault at RIP 0x80001/)
})

test('exceptions within exception handlers double, and then end the domain', async () => {
  const nested = 'main: mov qword [IDT + 16 * 13], 0\nmov qword [IDT + 16 * 8], 0\nint 99'
  tripleFaults(await host.run(kernel64(nested)), /triple fault at RIP 0x[0-9a-f]+: vector 13 /)
  const recursive = `main:
    mov word [IDT], .again
    mov word [IDT + 2], 8
  .again:
    xor eax, eax
    div eax`
  const outcome = await host.run(kernel64(recursive), { steps: 2000 })
  tripleFaults(outcome, /vector (0|14|13) /)
})

test('a stack at a non-canonical address ends the domain at the first push', async () => {
  const source = 'main: mov rsp, 0x900000000000\npush rax\njmp $'
  tripleFaults(await host.run(kernel64(source)), /vector 12 /)
})

test('code that runs over the end of memory faults there', async () => {
  // 16 MiB of memory: its last bytes are NOPs.
  const source = `main:
    mov edi, 0xfff000
    mov ecx, 4096
    mov al, 0x90
    rep stosb
    mov eax, 0xfff000
    jmp rax`
  tripleFaults(await host.run(kernel64(source)), /RIP 0x1000000 .*no memory/)
  const cut = source.replace('rep stosb', 'rep stosb\nmov dword [0xfffffc], 0x0000b848')
  tripleFaults(
    await host.run(kernel64(cut)),
    /RIP 0xfffffc \(guest physical 0x1000000\): there is no memory/,
  )
})

test('code that changes itself does what it has become', async () => {
  const source = `main:
    mov ebp, 100000
    xor eax, eax
  .loop:
    inc byte [.patch + 1]
  .patch:
    mov bl, 0                       ; the immediate that the line above counts up
    movzx ecx, bl
    add rax, rcx
    dec ebp
    jnz .loop
    call print
    jmp power_off`
  const outcome = await host.run(kernel64(source))
  endsByPowerOff(outcome)
  let sum = 0
  for (let i = 1; i <= 100_000; i++) sum += i & 255
  assert.equal(Number.parseInt(outcome.text, 16), sum)
})

/** Tries something for many values of r12 and goes on after each exception. */
function sweep(body: string, count: number, step = '1'): string {
  return `main:
    xor r12d, r12d
    mov r13d, ${count}
    mov r15, .next
  .loop:
    ${body}
  .next:
    add r12, ${step}
    dec r13
    jnz .loop
    jmp power_off`
}

async function sweeps(body: string, count: number, step = '1', options: Run = {}) {
  endsByPowerOff(await host.run(kernel64(sweep(body, count, step)), options))
}

test('every CPUID leaf can be asked for', async () => {
  const ask = (base: number) =>
    `lea eax, [r12 + ${base}]\nmov ecx, r13d\ncpuid\nlea eax, [r12 + ${base}]\nxor ecx, ecx\ncpuid`
  for (const base of [0, 0x40000000, 0x80000000, 0x7fffff00]) await sweeps(ask(base), 2048)
})

test('every MSR of the known ranges can be read and written with anything', async () => {
  for (const base of [0, 0x40000000, 0xbffffff0, 0xc0000100, 0xc0010000, 0xfffff000]) {
    const body = `
    lea ebx, [r12 + ${base}]
    mov eax, ebx                     ; the APIC's registers and EFER have tests of their own
    sub eax, 0x800
    cmp eax, 0x100
    jb .next
    mov r15, .write
    mov ecx, ebx
    rdmsr
  .write:
    mov r15, .next
    mov ecx, ebx
    imul eax, r13d, 0x9e3779b1
    mov edx, eax
    and edx, 0xffff                  ; a base stays canonical
    wrmsr`
    await sweeps(body, base === 0 ? 0x2000 : 0x1000)
  }
})

test('x2APIC MSRs and EFER take anything', async () => {
  for (const seed of [1, 77, 123457]) {
    const source = sweep(
      `imul eax, r12d, 0x9e3779b1
      xor eax, ${seed}
      mov ecx, eax
      shr ecx, 24
      add ecx, 0x800
      mov edx, eax
      wrmsr`,
      5000,
    )
    await host.run(
      kernel64(source.replace('main:', 'main:\nmov ecx, 0x1b\nrdmsr\nor eax, 0xc00\nwrmsr')),
      {
        vcpus: 4,
        steps: 3000,
      },
    )
  }
  await host.run(kernel64(sweep('mov ecx, 0xc0000080\nimul eax, r12d, 0x9e3779b1\nwrmsr', 500)))
})

test('the registers of the APIC take anything at any offset and size', async () => {
  for (const size of ['al', 'ax', 'eax', 'rax']) {
    await host.run(
      kernel64(
        sweep(
          `mov ebx, 0xfee00000
          mov ${size}, [rbx + r12]
          imul rax, r13, 0x1e3779b1
          mov [rbx + r12], ${size}`,
          4090,
        ),
      ),
      { vcpus: 3, steps: 3000 },
    )
  }
})

test('every port can be read and written', async () => {
  const all =
    'mov edx, r12d\nin al, dx\nin ax, dx\nin eax, dx\nxor eax, eax\nout dx, al\nout dx, ax\nout dx, eax'
  await sweeps(all, 65536)
  const outcome = await host.run(kernel64(sweep(all.replace('xor eax, eax', 'mov eax, -1'), 65536)))
  endsByPowerOff(outcome)
})

test('INIT, start-up and NMI to everybody, again and again, end nothing but the guest', async () => {
  const outcome = await host.run(
    kernel64(`main:
      mov ebx, 0xfee00000
      mov dword [rbx + 0xf0], 0x1ff
      mov ecx, 20000
    .loop:
      mov dword [rbx + 0x310], 0xff000000
      mov dword [rbx + 0x300], 0x000c4500     ; INIT to the others
      mov dword [rbx + 0x300], 0x000c4601     ; start-up at 0x1000: zeros
      mov dword [rbx + 0x300], 0x000c4400     ; NMI
      mov dword [rbx + 0x300], 0x000c40ff
      dec ecx
      jnz .loop
      jmp power_off`),
    { vcpus: 8, steps: 5000 },
  )
  assert.notEqual(outcome.state, 'waits')
  const self = await host.run(
    kernel64(`main:
      mov ebx, 0xfee00000
      mov dword [rbx + 0xf0], 0x1ff
      mov dword [rbx + 0x300], 0x00044500     ; INIT to itself
      mov dword [rbx + 0x300], 0x00084500     ; INIT to all
      mov dword [rbx + 0x300], 0x00044400     ; NMI to itself
      jmp $`),
    { steps: 100 },
  )
  assert.notEqual(self.state, 'waits')
})

test('processors start from any context, or are refused', async () => {
  const random = new Random(5)
  const flat = { limit: 0xffffffff, ar: 0xc93 }
  for (let i = 0; i < 24; i++) {
    const is64 = i % 2 === 0
    const word = () => BigInt.asUintN(32, random.wild())
    const some = (usual: bigint) => (random.below(3) === 0 ? random.wild() : usual)
    const regs = is64
      ? vcpu_hvm_x86_64.encode(64, {
          rip: some(0x100000n),
          rsp: random.wild(),
          rflags: some(2n),
          cr0: some(0x80010011n),
          cr3: some(0x200000n),
          cr4: some(0x620n),
          efer: some(0x500n),
        })
      : vcpu_hvm_x86_32.encode(64, {
          eip: Number(word()),
          esp: Number(word()),
          eflags: Number(word()),
          cr0: Number(BigInt.asUintN(32, some(0x11n))),
          cr3: Number(word()),
          cr4: Number(BigInt.asUintN(32, some(0n))),
          efer: some(0n),
          cs_limit: flat.limit,
          cs_ar: 0xc9b,
          ds_limit: random.next(),
          ds_ar: random.below(2) ? 0 : flat.ar,
          ss_limit: flat.limit,
          ss_ar: flat.ar,
          cs_base: Number(word()),
        })
    const context = new Uint8Array(8 + regs.length)
    context[0] = is64 ? 1 : 0
    context.set(regs, 8)
    const source = `main:
      mov edi, 0
      mov esi, 1
      mov edx, context
      mov eax, __HYPERVISOR_vcpu_op
      vmcall
      call print
      mov edi, 1
      mov esi, 1
      mov eax, __HYPERVISOR_vcpu_op
      vmcall
      mov ecx, 100000
      loop $
      jmp power_off
    context:
      db ${[...context].join(', ')}
      times 512 db 0`
    const outcome = await host.run(kernel64(source), { vcpus: 2, steps: 200 })
    assert.match(outcome.text, /^[0-9a-f]{16}\n/)
    assert.equal(outcome.state, 'ended')
  }
})

test('interrupts through gates that do not end take turns with the steps', async () => {
  const source = `main:
    mov word [IDT + 16 * 31], .handler
    mov word [IDT + 16 * 31 + 2], 8
    mov word [IDT + 16 * 31 + 4], 0x8f00      ; a trap gate: interrupts stay enabled
    mov ebx, 0xfee00000
    mov dword [rbx + 0xf0], 0x1ff
    sti
    mov dword [rbx + 0x300], 0x0004401f
    jmp $
  .handler:
    mov rsp, STACK_TOP
    mov dword [rbx + 0xb0], 0
    mov dword [rbx + 0x300], 0x0004401f
    jmp .handler`
  assert.equal((await host.run(kernel64(source), { steps: 10 })).state, 'runs')
})

test('every reason for a shutdown is taken', async () => {
  for (const reason of [0, 1, 2, 3, 4, 5, 6, 200, 255, 256, 0x7fffffff, 0xffffffff]) {
    const { state, reason: said } = await host.run(
      kernel64(`main: mov edi, ${reason}\njmp shutdown`),
    )
    assert.equal(state, 'ended')
    assert.equal(said, reason & 0xff)
  }
  assert.equal((await host.run(kernel64('main: jmp crash'))).reason, SHUTDOWN_crash)
})

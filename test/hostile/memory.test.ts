// Guests that turn against their own memory, and against what they share with the host: whoever
// else holds a page keeps it, and what was counted before is counted after.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SHUTDOWN_poweroff } from '../../src/xen/abi/sched.ts'
import { SPECIAL_PAGES } from '../../src/toolstack/build/memory-map.ts'
import { openKernel } from '../../src/toolstack/image/kernel.ts'
import { NO_DECOMPRESSORS } from '../../src/toolstack/image/tiny-kernel.ts'
import { GNTMAP_host_map, GNTMAP_readonly, GNTST_okay } from '../../src/xen/abi/grant-table.ts'
import { mapGrant } from '../../src/xen/grant-map.ts'
import { HostileHost, kernel32, kernel64, type Outcome } from './hostile-guest.ts'

const host = new HostileHost()

function endsByPowerOff({ state, reason, cause }: Outcome): void {
  assert.deepEqual([state, reason, cause], ['ended', SHUTDOWN_poweroff, ''])
}

/** A memory_op with one reservation whose extents are listed at SCRATCH. */
function reservation(op: number, extents: string, order = 0): string {
  return `
    mov qword [SCRATCH + 0x80000], SCRATCH
    mov qword [SCRATCH + 0x80008], ${extents}
    mov dword [SCRATCH + 0x80010], ${order}
    mov dword [SCRATCH + 0x80014], 0
    mov dword [SCRATCH + 0x80018], 0x7ff0
    mov edi, ${op}
    mov esi, SCRATCH + 0x80000
    mov eax, __HYPERVISOR_memory_op
    vmcall`
}

/** `list FIRST, COUNT`: the guest frames from FIRST on, at SCRATCH. */
const MACROS = `
%macro list 2
    mov edi, SCRATCH
    mov ecx, %2
    mov eax, %1
  %%fill:
    stosq
    inc rax
    loop %%fill
%endmacro
`

test('a guest that gives back all of its memory ends where it stands', async () => {
  const source = `${MACROS}
  main:
    list 0, 4096
    ${reservation(1, '4096')}
    jmp power_off`
  const outcome = await host.run(kernel64(source))
  assert.equal(outcome.state, 'ended')
  assert.match(outcome.cause, /no memory|triple fault/)
})

test('memory can be given back and taken again, up to what the domain may have', async () => {
  const source = `${MACROS}
  main:
    list 0x800, 2048
    ${reservation(1, '2048')}
    call print
    list 0x100000, 32768
    ${reservation(6, '32768')}
    call print
    list 0x200000, 32768
    ${reservation(6, '32768')}
    call print
    ${reservation(0, '100')}
    call print
    mov eax, [0x900000]
    jmp power_off`
  const outcome = await host.run(kernel64(source))
  endsByPowerOff(outcome)
  const [given, taken, more, increased] = outcome.text
    .split('\n')
    .map((n) => Number.parseInt(n, 16))
  assert.equal(given, 2048)
  assert.ok(taken !== undefined && taken >= 2048 && taken <= 2048 + 256, `${taken}`)
  assert.deepEqual([more, increased], [0, 0])
})

test('extents beyond any address, of any order, are refused', async () => {
  const extents = ['-1', '0x1000000000', '0xfffffffff', '0x8000000000000000', '0x400000000000']
  const source = `${MACROS}
  main:
    ${extents
      .map(
        (gfn) => `
    mov rax, ${gfn}
    mov [SCRATCH], rax
    ${[0, 1, 6].flatMap((op) => [reservation(op, '1'), op === 6 ? 'call print' : '', reservation(op, '1', 9), reservation(op, '-1'), reservation(op, '0x3ffffffffffffff', 9)]).join('\n')}`,
      )
      .join('\n')}
    jmp power_off`
  const outcome = await host.run(kernel64(source))
  endsByPowerOff(outcome)
})

test('the rings of console and xenstore outlive the pages that the guest gave away', async () => {
  for (const page of [SPECIAL_PAGES.console, SPECIAL_PAGES.xenstore]) {
    const source = `${MACROS}
    main:
      list ${page}, 1
      ${reservation(1, '1')}
      call print
      list 0x100000, 64
      ${reservation(6, '64')}
      mov dword [SCRATCH + 0x90000], 1
      mov edi, 4                          ; EVTCHNOP_send to port 1, then 2
      mov esi, SCRATCH + 0x90000
      mov eax, __HYPERVISOR_event_channel_op
      vmcall
      mov dword [SCRATCH + 0x90000], 2
      mov edi, 4
      mov esi, SCRATCH + 0x90000
      mov eax, __HYPERVISOR_event_channel_op
      vmcall
      sti
      jmp $`
    let owner: number | undefined
    let guestMfn = -1
    const { frames } = host.xen
    await host.run(kernel64(source), {
      steps: 50,
      prepare: (guest) => {
        guestMfn = guest.domain.physMap.ramAt(page) ?? -1
      },
      watch: (guest) => {
        guest.console.write(Uint8Array.of(0x61))
        owner = frames.owner(guestMfn)
        assert.equal(owner, guest.domain.domid, 'the host still holds the page of the ring')
      },
    })
    assert.equal(frames.owner(guestMfn), undefined)
  }
})

test('code of a domain that has gone is not run by the next one', async () => {
  const place = 0xff8000
  const endsWith = (reason: number, then: string) => `main:
    ${then}
    mov eax, ${place}
    call rax
    jmp power_off
  code:
    mov edi, ${reason}
    mov eax, shutdown
    jmp rax
  code_end:`
  const copy = `mov esi, code
    mov edi, ${place}
    mov ecx, code_end - code
    rep movsb`
  assert.equal((await host.run(kernel64(endsWith(2, copy)))).reason, 2)
  // What has not been written is zero: ADD [RAX], AL until the end of memory.
  const next = await host.run(kernel64(endsWith(2, '')))
  assert.notEqual(next.reason, 2)
  assert.match(next.cause, /RIP 0x1000000 /)
})

test('console and xenstore rings full of nonsense cost the guest its own services only', async () => {
  const rings = [SPECIAL_PAGES.console, SPECIAL_PAGES.xenstore].map((gfn) => gfn * 4096)
  const source = `main:
    mov ebp, 3000
    mov r12d, 0x12345
  .loop:
    ${rings
      .map(
        (ring, i) => `
    imul r12, r12, 0x5851f42d
    inc r12
    mov ebx, ${ring}
    ${
      i === 0
        ? 'mov ecx, r12d\n shr ecx, 13\n and ecx, 0xc\n mov [rbx + rcx + 0xc00], r12'
        : 'mov ecx, r12d\n shr ecx, 13\n and ecx, 0x1c\n mov [rbx + rcx + 0x800], r12d'
    }
    mov ecx, r12d
    shr ecx, 9
    and ecx, 0x3f8
    mov [rbx + rcx], r12
    mov dword [SCRATCH], ${i + 1}
    mov edi, 4
    mov esi, SCRATCH
    mov eax, __HYPERVISOR_event_channel_op
    vmcall`,
      )
      .join('\n')}
    dec ebp
    jnz .loop
    jmp power_off`
  endsByPowerOff(await host.run(kernel64(source)))
  const valid = `main:
    mov ebp, 3000
  .loop:
    mov ebx, ${rings[1]}
    imul r12, r12, 0x5851f42d
    inc r12
    ; a header with a random type and length at the place where the next request is read
    mov ecx, [rbx + 0x800]
    mov esi, ecx
    and esi, 0x3f0
    mov eax, r12d
    shr eax, 12
    and eax, 31
    mov [rbx + rsi], eax
    mov [rbx + rsi + 4], r12d
    mov dword [rbx + rsi + 8], 0
    mov eax, r12d
    shr eax, 20
    and eax, 63
    mov [rbx + rsi + 12], eax
    add ecx, 16
    add ecx, eax
    mov [rbx + 0x804], ecx
    mov eax, [rbx + 0x80c]
    mov [rbx + 0x808], eax            ; all answers are read
    mov dword [SCRATCH], 1
    mov edi, 4
    mov esi, SCRATCH
    mov eax, __HYPERVISOR_event_channel_op
    vmcall
    mov dword [SCRATCH], 2
    mov edi, 4
    mov esi, SCRATCH
    mov eax, __HYPERVISOR_event_channel_op
    vmcall
    dec ebp
    jnz .loop
    jmp power_off`
  endsByPowerOff(await host.run(kernel64(valid)))
})

test('shared_info, vcpu_info and FIFO structures can hold anything', async () => {
  const source = `${MACROS}
  main:
    ; shared_info at 0x900000
    mov word [SCRATCH], 0x7ff0
    mov word [SCRATCH + 2], 0
    mov dword [SCRATCH + 4], 0
    mov qword [SCRATCH + 8], 0
    mov qword [SCRATCH + 16], 0x900
    mov edi, 7
    mov esi, SCRATCH
    mov eax, __HYPERVISOR_memory_op
    vmcall
    call print
    ; the callback vector
    mov word [SCRATCH], 0x7ff0
    mov dword [SCRATCH + 4], 0
    mov rax, 0x02000000000000f3
    mov [SCRATCH + 8], rax
    xor edi, edi
    mov esi, SCRATCH
    mov eax, __HYPERVISOR_hvm_op
    vmcall
    mov ebp, 400
    mov r12, 0x9e3779b97f4a7c15
  .round:
    cmp ebp, 200
    jne .go_on
    ; half way: FIFO events, control block at 0xa00000, array at 0xa01000
    mov qword [SCRATCH], 0xa00
    mov dword [SCRATCH + 8], 0
    mov dword [SCRATCH + 12], 0
    mov edi, 11
    mov esi, SCRATCH
    mov eax, __HYPERVISOR_event_channel_op
    vmcall
    call print
    mov qword [SCRATCH], 0xa01
    mov edi, 12
    mov esi, SCRATCH
    mov eax, __HYPERVISOR_event_channel_op
    vmcall
    call print
  .go_on:
    mov ecx, 512
    mov edi, 0x900000
    mov esi, 0xa00000
  .fill:
    imul r12, r12, 0x5851f42d
    inc r12
    mov rax, r12
    bswap rax
    mov [rdi], rax
    mov [rsi], rax
    mov [rsi + 0x1000], rax
    add rdi, 8
    add rsi, 8
    loop .fill
    mov edx, 1
  .ports:
    mov [SCRATCH], edx
    mov dword [SCRATCH + 4], 0
    mov [SCRATCH + 64], edx
    mov edi, r12d
    shr edi, 20
    and edi, 7                        ; the operations on ports
    mov esi, SCRATCH
    mov eax, __HYPERVISOR_event_channel_op
    vmcall
    imul r12, r12, 0x5851f42d
    inc r12
    mov edx, [SCRATCH + 64]
    inc edx
    cmp edx, 100
    jb .ports
    dec ebp
    jnz .round
    jmp power_off`
  const outcome = await host.run(kernel64(source))
  endsByPowerOff(outcome)
  assert.equal(outcome.text, `${'0'.repeat(16)}\n`.repeat(3))
})

test('the grant table grows to its limit and no further', async () => {
  const source = `main:
    mov word [SCRATCH], 0x7ff0
    mov dword [SCRATCH + 4], 0x7fffffff
    mov qword [SCRATCH + 16], SCRATCH + 0x1000
    mov edi, 2
    mov esi, SCRATCH
    mov edx, 1
    mov eax, __HYPERVISOR_grant_table_op
    vmcall
    movsx rax, word [SCRATCH + 8]
    call print
    mov dword [SCRATCH + 4], 64
    mov edi, 2
    mov esi, SCRATCH
    mov edx, 1
    mov eax, __HYPERVISOR_grant_table_op
    vmcall
    movsx rax, word [SCRATCH + 8]
    call print
    ; and through the physical map, with every index
    xor ebp, ebp
    xor ebx, ebx
  .map:
    mov word [SCRATCH], 0x7ff0
    mov word [SCRATCH + 2], 0
    mov dword [SCRATCH + 4], 1
    mov [SCRATCH + 8], rbp
    lea rax, [rbp + 0x100000]
    mov [SCRATCH + 16], rax
    mov edi, 7
    mov esi, SCRATCH
    mov eax, __HYPERVISOR_memory_op
    vmcall
    test eax, eax
    setz al
    movzx eax, al
    add ebx, eax
    inc ebp
    cmp ebp, 1000
    jb .map
    mov eax, ebx
    call print
    ; version 2, its status frames, and back
    mov dword [SCRATCH], 2
    mov edi, 8
    mov esi, SCRATCH
    mov edx, 1
    mov eax, __HYPERVISOR_grant_table_op
    vmcall
    mov dword [SCRATCH], 1
    mov edi, 8
    mov esi, SCRATCH
    mov edx, 1
    mov eax, __HYPERVISOR_grant_table_op
    vmcall
    jmp power_off`
  const outcome = await host.run(kernel64(source))
  endsByPowerOff(outcome)
  const [refused, grown, mapped] = outcome.text.split('\n')
  assert.equal(refused, 'f'.repeat(16))
  assert.equal(grown, '0'.repeat(16))
  assert.equal(Number.parseInt(mapped ?? '', 16), 64)
})

test('thousands of references that nobody granted, and of the guest’s own, are answered', async () => {
  const source = `main:
    mov ebp, 40
  .loop:
    mov ecx, 1000
    mov edi, SCRATCH
    mov r12d, 0x1234567
  .fill:
    imul r12d, r12d, 0x5851f42d
    inc r12d
    mov rax, 0x200000
    mov [rdi], rax                    ; host_addr
    mov dword [rdi + 8], 2            ; GNTMAP_host_map
    mov eax, r12d
    shr eax, 20
    mov [rdi + 12], eax               ; ref
    mov eax, ecx
    and eax, 1
    mov [rdi + 16], ax                ; dom 0 or 1
    add rdi, 48
    loop .fill
    mov edi, ebp
    and edi, 1                        ; map and unmap in turn
    mov esi, SCRATCH
    mov edx, 1000
    mov eax, __HYPERVISOR_grant_table_op
    vmcall
    dec ebp
    jnz .loop
    jmp power_off`
  endsByPowerOff(await host.run(kernel64(source)))
})

test('a guest may be built and destroyed more often than the host has room for processors', async () => {
  const image = kernel32('cli\nhlt')
  for (let i = 0; i < 20; i++) await host.run(image, { vcpus: 32, memoryMiB: 8 })
})

test('a page granted for reading cannot be written, neither by stores nor by the page walk', async () => {
  const { xen } = host
  const before = host.holdings()
  const images = {
    kernel: await openKernel(kernel32('sti\nhlt\njmp $'), 'still', NO_DECOMPRESSORS),
  }
  const config = { name: 'granter', commandLine: '', memoryMiB: 8, vcpus: 1 }
  const granter = xen.createGuest(config, images)
  const page = new Uint8Array(4096).fill(0x5a)
  // As a page table: entries that are present and not accessed yet.
  new DataView(page.buffer).setBigUint64(0, 0x87n, true)
  const source = `main:
    mov ebx, 0x1000000
    mov eax, [rbx]
    mov dword [rbx], 1
    lock inc dword [rbx + 8]
    mov edi, 0x1000000
    mov ecx, 4096
    xor eax, eax
    rep stosb
    mov eax, 0x1000000 + 7
    mov [TABLES + 0x1000 + 8 * 4], rax
    mov rbx, 0x100000000
    mov rax, [rbx + 0x200000 - 8]
    mov eax, [0x1000008]
    call print
    jmp power_off`
  assert.ok(granter.domain.writePhysical(0x300000, page))
  const outcome = await (async () => {
    try {
      return await host.run(kernel64(source), {
        prepare: ({ domain }) => {
          granter.domain.grants.grow(1)
          granter.domain.grants.seed(9, domain.domid, 0x300)
          const flags = GNTMAP_host_map | GNTMAP_readonly
          const request = { domid: granter.domain.domid, ref: 9, flags, address: 0x1000000n }
          assert.equal(mapGrant(xen.hypervisor, domain, request).status, GNTST_okay)
        },
        watch: () => assert.deepEqual(granter.domain.readPhysical(0x300000, 4096), page),
      })
    } finally {
      granter.destroy()
    }
  })()
  endsByPowerOff(outcome)
  assert.equal(outcome.text, '000000005a5a5a5a\n')
  assert.deepEqual(host.holdings(), before)
})

// Configurations as Debian's extlinux-update and Alpine's update-extlinux write them (Syslinux 6,
// doc/syslinux.txt).

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { extlinuxMenu } from './extlinux.ts'
import { type Files, tableVolumes } from './testing.ts'

const CONFIG = '/boot/extlinux/extlinux.conf'

function menuOf(text: string, files: Files = {}) {
  const volumes = tableVolumes({ [CONFIG]: text, ...files })
  const [volume] = volumes.all
  assert.ok(volume)
  return extlinuxMenu(volumes, volume, CONFIG, text)
}

function standard(text: string, files?: Files): string {
  const choice = menuOf(text, files).standard?.choose()
  assert.ok(choice)
  const ramdisks = choice.ramdisks.map(({ path }) => path).join('+')
  return `${choice.kernel.path} ${ramdisks} [${choice.args}]`
}

const DEBIAN = `## /boot/extlinux/linux.cfg
default l0
prompt 1
timeout 50
include themes/debian/theme.cfg

label l0
	menu label Debian GNU/Linux, kernel 6.1.0-2-amd64
	linux /boot/vmlinuz-6.1.0-2-amd64
	initrd /boot/initrd.img-6.1.0-2-amd64
	append root=/dev/xvda1 ro quiet

label l0r
	menu label Debian GNU/Linux, kernel 6.1.0-2-amd64 (recovery mode)
	linux /boot/vmlinuz-6.1.0-2-amd64
	append root=/dev/xvda1 ro single
`
const THEME = { '/boot/extlinux/themes/debian/theme.cfg': 'menu background x.png\n' }

test('the default label boots, with included files', () => {
  assert.equal(
    standard(DEBIAN, THEME),
    '/boot/vmlinuz-6.1.0-2-amd64 /boot/initrd.img-6.1.0-2-amd64 [root=/dev/xvda1 ro quiet]',
  )
  const { entries } = menuOf(DEBIAN, THEME)
  assert.deepEqual(entries[1]?.ids, ['l0r'])
  assert.match(entries[1]?.title ?? '', /recovery mode/)
  assert.throws(() => menuOf(DEBIAN), /includes \/boot\/extlinux\/themes.*not there/)
})

test('a menu boots what it marks, and paths are meant from its folder', () => {
  const text =
    'DEFAULT menu.c32\nPROMPT 0\nMENU TITLE Boot Menu\nLABEL lts\n  LINUX vmlinuz-lts\n' +
    'LABEL virt\n  MENU DEFAULT\n  MENU LABEL ^Linux virt\n  LINUX vmlinuz-virt\n' +
    '  INITRD early.img,initramfs-virt\n  APPEND root=UUID=1 quiet\nMENU SEPARATOR\n'
  assert.equal(
    standard(text),
    '/boot/extlinux/vmlinuz-virt /boot/extlinux/early.img+/boot/extlinux/initramfs-virt ' +
      '[root=UUID=1 quiet]',
  )
  assert.equal(menuOf(text).entries[1]?.title, 'Linux virt')
})

test('arguments are those of the label, of all labels, or none; a ramdisk may be among them', () => {
  const label = 'label a\nkernel /k x\n'
  assert.equal(standard(`append quiet\n${label}`), '/k  [x quiet]')
  assert.equal(standard(`append quiet\n${label}append -\n`), '/k  [x]')
  assert.equal(standard(`${label}append initrd=/a,/b ro\n`), '/k /a+/b [x ro]')
})

test('programs of Syslinux and endless includes are errors', () => {
  assert.throws(
    () => standard('label a\nkernel chain.c32'),
    /starts chain.c32, a program of Syslinux/,
  )
  assert.throws(() => standard('label a\n'), /"a" has no kernel/)
  assert.throws(() => menuOf('include extlinux.conf'), /includes too many files/)
  assert.equal(menuOf('').standard, undefined)
})

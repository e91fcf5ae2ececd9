// Configurations of the forms that grub-mkconfig writes on Debian and Ubuntu, and small ones for what
// the language does (GNU GRUB manual 2.06, chapters 6 and 16).

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Files, tableVolumes } from '../testing.ts'
import { grubMenu } from './grub-menu.ts'
import { parseGrubScript } from './parser.ts'

const CONFIG = '/boot/grub/grub.cfg'

function menuOf(text: string, files: Files = {}, ...others: readonly Files[]) {
  const volumes = tableVolumes({ [CONFIG]: text, ...files }, ...others)
  const [volume] = volumes.all
  assert.ok(volume)
  return grubMenu(volumes, volume, CONFIG, text)
}

/** What boots by default: title, volume and path of the kernel, arguments, ramdisks. */
function standard(text: string, files?: Files, ...others: readonly Files[]) {
  const entry = menuOf(text, files, ...others).standard
  assert.ok(entry)
  const { kernel, ramdisks, args } = entry.choose()
  const initrd = ramdisks.map(({ path }) => path).join('+')
  return `${entry.title}: ${kernel.volume?.name} ${kernel.path} [${args}] ${initrd}`
}

const GENERATED = `
if [ -s $prefix/grubenv ]; then
  set have_grubenv=true
  load_env
fi
if [ "\${next_entry}" ] ; then
   set default="\${next_entry}"
   set next_entry=
   save_env next_entry
   set boot_once=true
else
   set default="\${saved_entry}"
fi

if [ x"\${feature_menuentry_id}" = xy ]; then
  menuentry_id_option="--id"
else
  menuentry_id_option=""
fi
export menuentry_id_option

function savedefault {
  if [ -z "\${boot_once}" ]; then
    saved_entry="\${chosen}"
    save_env saved_entry
  fi
}
function gfxmode {
	set gfxpayload="\${1}"
	if [ "\${1}" = "keep" ]; then
		set vt_handoff=vt.handoff=7
	else
		set vt_handoff=
	fi
}
if [ x$feature_default_font_path = xy ] ; then
   font=unicode
else
insmod part_gpt
   font="/usr/share/grub/unicode.pf2"
fi
if loadfont $font ; then
  set gfxmode=auto
  load_video
fi
terminal_output gfxterm
set timeout=5
menuentry 'Debian GNU/Linux' --class debian --class os $menuentry_id_option 'gnulinux-simple' {
	load_video
	gfxmode $linux_gfx_mode
	insmod gzio
	if [ x$grub_platform = xxen ]; then insmod xzio; insmod lzopio; fi
	if [ x$feature_platform_search_hint = xy ]; then
	  search --no-floppy --fs-uuid --set=root --hint-bios=hd0,gpt2  uuid-2
	else
	  search --no-floppy --fs-uuid --set=root uuid-2
	fi
	echo	'Loading Linux 6.1.0-2 ...'
	linux	/vmlinuz-6.1.0-2 root=UUID=1234 ro  quiet $vt_handoff
	echo	'Loading initial ramdisk ...'
	initrd	/initrd.img-6.1.0-2
}
submenu 'Advanced options for Debian GNU/Linux' $menuentry_id_option 'gnulinux-advanced' {
	menuentry 'Debian GNU/Linux, with Linux 6.1.0-2' $menuentry_id_option 'gnulinux-6.1.0-2-advanced' {
		linux	/vmlinuz-6.1.0-2 root=UUID=1234 ro
		initrd	/initrd.img-6.1.0-2
	}
	menuentry 'Debian GNU/Linux, with Linux 6.1.0-1' $menuentry_id_option 'gnulinux-6.1.0-1-advanced' {
		search --no-floppy --fs-uuid --set=root uuid-2
		linux	/vmlinuz-6.1.0-1 root=UUID=1234 ro
		initrd	/early.img /initrd.img-6.1.0-1
	}
}
menuentry 'UEFI Firmware Settings' $menuentry_id_option 'uefi-firmware' {
	fwsetup
}
if [ -f  \${config_directory}/custom.cfg ]; then
  source \${config_directory}/custom.cfg
fi
`
const NEW =
  'Debian GNU/Linux: hd0,gpt2 /vmlinuz-6.1.0-2 [root=UUID=1234 ro quiet] /initrd.img-6.1.0-2'
const OLD =
  'Debian GNU/Linux, with Linux 6.1.0-1: hd0,gpt2 /vmlinuz-6.1.0-1 [root=UUID=1234 ro] ' +
  '/early.img+/initrd.img-6.1.0-1'

const environment = (lines: string) => ({
  '/boot/grub/grubenv': `# GRUB Environment Block\n${lines}\n${'#'.repeat(900)}`,
})

test('what grub-mkconfig writes boots its first entry from the volume that it searches', () => {
  assert.equal(standard(GENERATED, {}, {}), NEW)
})

test('grub-set-default and grub-reboot choose by number, title, id or path', () => {
  for (const chosen of [
    '1>1',
    'gnulinux-advanced>gnulinux-6.1.0-1-advanced',
    'Advanced options for Debian GNU/Linux>Debian GNU/Linux, with Linux 6.1.0-1',
    'gnulinux-6.1.0-1-advanced',
  ]) {
    assert.equal(standard(GENERATED, environment(`saved_entry=${chosen}`), {}), OLD, chosen)
    const next = environment(`saved_entry=0\nnext_entry=${chosen}`)
    assert.equal(standard(GENERATED, next, {}), OLD, chosen)
  }
  for (const chosen of ['0', 'gnulinux-simple', 'no such entry', '17', 'gnulinux-simple>5']) {
    assert.equal(standard(GENERATED, environment(`saved_entry=${chosen}`), {}), NEW, chosen)
  }
  // A submenu alone is its first entry.
  assert.match(standard(GENERATED, environment('saved_entry=1'), {}), /^[^:]*with Linux 6.1.0-2:/)
})

test('entries are counted as pygrub counts them: those of submenus where the submenu stands', () => {
  const { entries } = menuOf(GENERATED, {}, {})
  assert.deepEqual(
    entries.map(({ title }) => title),
    [
      'Debian GNU/Linux',
      'Debian GNU/Linux, with Linux 6.1.0-2',
      'Debian GNU/Linux, with Linux 6.1.0-1',
      'UEFI Firmware Settings',
    ],
  )
  assert.throws(() => entries[3]?.choose(), /"UEFI Firmware Settings" loads no kernel/)
})

test('a configuration that only leads to another one is followed', () => {
  const stub =
    'search.fs_uuid uuid-2 root hd0,gpt2\nset prefix=($root)/grub\nconfigfile $prefix/grub.cfg\n'
  const real = 'menuentry "there" {\n linux /vmlinuz $prefix\n}'
  const found = standard(`menuentry gone { true }\n${stub}`, {}, { '/grub/grub.cfg': real })
  assert.equal(found, 'there: hd0,gpt2 /vmlinuz [(hd0,gpt2)/grub] ')
})

/** A script, and what `linux` gets as its arguments when it has set `a`. */
const LANGUAGE: readonly (readonly [script: string, args: string])[] = [
  ['set a=1; set b=$a$a; a="$b"', '11'],
  ["a='$b'", '$b'],
  ['b=x; a="\\$b \\"${b}\\" \\x"', '"$b \\"x\\" \\\\x"'],
  ['a=one\\ word', '"one word"'],
  ['b="two words"; a="$b"', '"two words"'],
  ['a=1 # comment', '1'],
  ['if false; then a=1; elif true; then a=2; else a=3; fi', '2'],
  ['if [ -z "$nothing" -a 2 -gt 1 ]; then a=1; fi', '1'],
  ['if test ! -f /nothing; then a=1; fi', '1'],
  ['if [ -d /boot -a -s /boot/grub/grub.cfg ]; then a=1; fi', '1'],
  ['if [ 1 = 2 -o a != b ]; then a=1; fi', '1'],
  ['if ! [ ( 1 -eq 1 ) ]; then a=1; else a=2; fi', '2'],
  ['for x in 1 2 3; do a="$a$x"; done', '123'],
  ['while [ "$a" != xxx ]; do a="${a}x"; done', 'xxx'],
  ['until [ "$a" = xx ]; do a="${a}x"; done', 'xx'],
  ['function f {\n a="$1-$2-$#"\n}\nf 1 "2 3"', '"1-2 3-2"'],
  ['a=1; nosuchcommand; if [ $? = 1 ]; then a=failed; fi', 'failed'],
  ['a=1; unset a; a=${a}2', '2'],
  ['a=lines\\\nin\\\none', 'linesinone'],
  ["a='two\nlines'", '"two\nlines"'],
  ['a=1;;\n;', '1'],
  ['set root=(hd0,1); a=1', '1'],
]

test('the language does what the manual says', () => {
  for (const [script, args] of LANGUAGE) {
    const text = `${script}\nmenuentry x { linux /k "$a" }`
    const entry = menuOf(text).standard
    assert.equal(entry?.choose().args, args, script)
  }
})

test('variables that are not quoted are split, and vanish if they are empty', () => {
  const text = 'b="1  2"\nmenuentry x { linux /k $b$none $none x$b "$none" }'
  assert.equal(menuOf(text).standard?.choose().args, '1 2 x1 2 ')
})

test('devices are named in every way that GRUB has', () => {
  for (const name of ['(hd0,gpt2)', '(hd0,2)', '(hd0,msdos2)']) {
    assert.match(standard(`menuentry x { linux ${name}/k }`, {}, {}), /hd0,gpt2 \/k/, name)
  }
  assert.match(standard('set root=hd0,2\nmenuentry x { linux /k }', {}, {}), /hd0,gpt2 \/k/)
  assert.match(standard('search -l label-2\nmenuentry x { linux /k }', {}, {}), /hd0,gpt2/)
  const byFile = 'search --file /k --set\nmenuentry x { linux ($root)/k }'
  assert.match(standard(byFile, {}, { '/k': '' }), /hd0,gpt2/)
  const none = menuOf('menuentry x { linux (hd7,1)/k }').standard?.choose()
  assert.equal(none?.kernel.volume, undefined)
})

test('what starts no kernel of Linux is said', () => {
  const menu = menuOf(
    'menuentry x { chainloader +1 }\nmenuentry y { multiboot2 /xen.gz\n module2 /k }',
  )
  assert.throws(() => menu.entries[0]?.choose(), /"x" starts something by "chainloader"/)
  assert.throws(() => menu.entries[1]?.choose(), /"y" starts something by "multiboot2"/)
})

test('what makes no sense is an error with its line', () => {
  for (const [text, message] of [
    ['\nmenuentry x {\n', /Line 3 .*brace is not closed/],
    ['}\n', /Line 1 has "}"/],
    ['if true\nfi', /Line 2 has no "then"/],
    ['{'.repeat(5), /Line 1 has "{"/],
    ['if true; then '.repeat(100), /goes too deep/],
  ] as const) {
    assert.throws(() => parseGrubScript(text), message, text.slice(0, 20))
  }
})

test('what never ends is ended', () => {
  for (const text of [
    'while true; do true; done',
    'function f { f }\nf',
    'source $config_file',
    'a=xxxxxxxxxxxxxxxx; while true; do a="$a$a"; done',
    'while true; do menuentry x { true } ; done',
    'submenu x { source $config_file }',
  ]) {
    const never = /never comes to an end|goes too deep|words too long|too many entries/
    assert.throws(() => menuOf(text), never, text)
  }
})

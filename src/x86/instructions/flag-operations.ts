// Instructions about RFLAGS. (SDM vol. 2: CLC CLD CMC LAHF SAHF STC STD. CLI, STI, POPF, CLAC
// and STAC: system.)

import { define } from '../decode/define.ts'
import { FLAG_DF } from '../registers.ts'
import * as S from '../state.ts'

define('CLC', ['F8'], (e) => e.flags.setCarry(e.f.i32(0)))
define('STC', ['F9'], (e) => e.flags.setCarry(e.f.i32(1)))
define('CMC', ['F5'], (e) => e.flags.setCarry(e.f.eqz(e.flags.carry())))

define('CLD', ['FC'], (e) => {
  const { f } = e
  e.stateStore('i32.store', S.RFLAGS, f.and(e.stateLoad('i32.load', S.RFLAGS), f.i32(~FLAG_DF)))
})

define('STD', ['FD'], (e) => {
  const { f } = e
  e.stateStore('i32.store', S.RFLAGS, f.or(e.stateLoad('i32.load', S.RFLAGS), f.i32(FLAG_DF)))
})

const AH = 4

define('LAHF', ['9F'], (e) => {
  const low = e.f.and(e.flags.image(), e.f.i32(0xd5))
  e.write(e.gpr(AH, 8), e.f.or(low, e.f.i32(2)))
})

define('SAHF', ['9E'], (e) => e.flags.assignLowImage(e.read(e.gpr(AH, 8))))

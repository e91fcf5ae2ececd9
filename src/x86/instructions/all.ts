// Every instruction that the processor knows. Importing this file fills the registry.

import './arithmetic.ts'
import './bit-operations.ts'
import './branches.ts'
import './flag-operations.ts'
import './moves.ts'
import './multiply-divide.ts'
import './shifts.ts'
import './stack.ts'
import './strings.ts'
import './system-control.ts'
import './system-registers.ts'

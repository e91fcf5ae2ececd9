// hvm_op (public/hvm/hvm_op.h): parameters, the upcall vector, and small services. Operations of
// device models and toolstacks that once were here have gone, as in Xen 4.17.

import {
  XEN_EFAULT,
  XEN_EINVAL,
  XEN_ENOENT,
  XEN_ENOSYS,
  XEN_EOPNOTSUPP,
  XEN_EPERM,
} from '../abi/errno.ts'
import {
  HVMMEM_mmio_dm,
  HVMMEM_ram_ro,
  HVMMEM_ram_rw,
  HVMOP_altp2m,
  HVMOP_flush_tlbs,
  HVMOP_get_mem_type,
  HVMOP_get_param,
  HVMOP_get_time,
  HVMOP_guest_request_vm_event,
  HVMOP_pagetable_dying,
  HVMOP_set_evtchn_upcall_vector,
  HVMOP_set_param,
  HVMOP_xentrace,
  xen_hvm_evtchn_upcall_vector,
  xen_hvm_get_mem_type,
  xen_hvm_get_time,
  xen_hvm_pagetable_dying,
  xen_hvm_param,
} from '../abi/hvm-op.ts'
import { HVM_PARAM_CALLBACK_IRQ } from '../abi/hvm-params.ts'
import { HvmParams } from '../hvm-params.ts'
import { MAX_GFNS, P2mType } from '../phys-map.ts'
import { type Answer, type Call, pointer, targetDomain, uint } from './call.ts'

/** Vectors below this are exceptions. */
const FIRST_VECTOR = 0x10
const TRACE_BYTES = 28

export function hvmOp(call: Call, args: readonly bigint[]): Answer {
  const address = pointer(args, 1)
  switch (uint(args, 0)) {
    case HVMOP_set_param:
      return setParam(call, address)
    case HVMOP_get_param:
      return getParam(call, address)
    case HVMOP_set_evtchn_upcall_vector:
      return setUpcallVector(call, address)
    case HVMOP_flush_tlbs:
      if (address !== 0n) return -XEN_EINVAL
      for (const vcpu of call.domain.vcpus) vcpu.processor.flushTlb()
      return 0
    case HVMOP_get_time: {
      const now = BigInt(call.world.now())
      return call.guest.write(xen_hvm_get_time, address, { now }) ? 0 : -XEN_EFAULT
    }
    case HVMOP_get_mem_type:
      return getMemType(call, address)
    case HVMOP_pagetable_dying: {
      const dying = call.guest.read(xen_hvm_pagetable_dying, address)
      if (!dying) return -XEN_EFAULT
      const domain = targetDomain(call, dying.domid)
      // Of use only to shadow paging, which does not exist here.
      return typeof domain === 'number' ? domain : -XEN_EINVAL
    }
    case HVMOP_xentrace: {
      const head = call.guest.readBytes(address, 4)
      if (!head) return -XEN_EFAULT
      const extra = (head[2] as number) | ((head[3] as number) << 8)
      return extra > TRACE_BYTES ? -XEN_EINVAL : 0
    }
    case HVMOP_guest_request_vm_event:
      return address === 0n ? 0 : -XEN_EINVAL
    case HVMOP_altp2m:
      return -XEN_EOPNOTSUPP
    default:
      return -XEN_ENOSYS
  }
}

function setParam(call: Call, address: bigint): number {
  const param = call.guest.read(xen_hvm_param, address)
  if (!param) return -XEN_EFAULT
  if (!HvmParams.isKnown(param.index)) return -XEN_EINVAL
  const domain = targetDomain(call, param.domid)
  if (typeof domain === 'number') return domain
  if (!HvmParams.mayGuestSet(param.index)) return -XEN_EPERM
  domain.params.set(param.index, param.value)
  if (param.index === HVM_PARAM_CALLBACK_IRQ) {
    domain.latchWidth(call.guest.width)
    for (const vcpu of domain.vcpus) vcpu.kick()
  }
  return 0
}

function getParam(call: Call, address: bigint): number {
  const param = call.guest.read(xen_hvm_param, address)
  if (!param) return -XEN_EFAULT
  if (!HvmParams.isKnown(param.index)) return -XEN_EINVAL
  const domain = targetDomain(call, param.domid)
  if (typeof domain === 'number') return domain
  if (!HvmParams.mayGuestGet(param.index)) return -XEN_EPERM
  const value = domain.params.get(param.index)
  return call.guest.writeField(xen_hvm_param, address, 'value', value) ? 0 : -XEN_EFAULT
}

function setUpcallVector(call: Call, address: bigint): number {
  const request = call.guest.read(xen_hvm_evtchn_upcall_vector, address)
  if (!request) return -XEN_EFAULT
  if (request.vector < FIRST_VECTOR) return -XEN_EINVAL
  const vcpu = call.domain.vcpus[request.vcpu]
  if (!vcpu) return -XEN_ENOENT
  vcpu.upcallVector = request.vector
  // An event that came before there was a vector would else never be delivered.
  vcpu.upcall()
  return 0
}

function getMemType(call: Call, address: bigint): number {
  const request = call.guest.read(xen_hvm_get_mem_type, address)
  if (!request) return -XEN_EFAULT
  const domain = targetDomain(call, request.domid)
  if (typeof domain === 'number') return domain
  const gfn = request.pfn < BigInt(MAX_GFNS) ? Number(request.pfn) : -1
  const type = memTypeOf(domain.physMap.typeOf(gfn))
  const isWritten = call.guest.writeField(xen_hvm_get_mem_type, address, 'mem_type', type)
  return isWritten ? 0 : -XEN_EFAULT
}

function memTypeOf(type: P2mType): number {
  switch (type) {
    case P2mType.ram_rw:
    case P2mType.grant_map_rw:
      return HVMMEM_ram_rw
    case P2mType.ram_ro:
    case P2mType.grant_map_ro:
      return HVMMEM_ram_ro
    default:
      return HVMMEM_mmio_dm
  }
}

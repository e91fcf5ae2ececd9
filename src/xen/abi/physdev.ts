// public/physdev.h: operations on physical interrupts and devices.

export const PHYSDEVOP_eoi = 12
export const PHYSDEVOP_pirq_eoi_gmfn_v1 = 17
export const PHYSDEVOP_pirq_eoi_gmfn_v2 = 28
export const PHYSDEVOP_irq_status_query = 5
export const PHYSDEVOP_set_iopl = 6
export const PHYSDEVOP_set_iobitmap = 7
export const PHYSDEVOP_apic_read = 8
export const PHYSDEVOP_apic_write = 9
export const PHYSDEVOP_alloc_irq_vector = 10
export const PHYSDEVOP_free_irq_vector = 11
export const PHYSDEVOP_map_pirq = 13
export const PHYSDEVOP_unmap_pirq = 14
export const PHYSDEVOP_manage_pci_add = 15
export const PHYSDEVOP_manage_pci_remove = 16
export const PHYSDEVOP_restore_msi = 19
export const PHYSDEVOP_manage_pci_add_ext = 20
export const PHYSDEVOP_setup_gsi = 21
export const PHYSDEVOP_get_free_pirq = 23
export const PHYSDEVOP_pci_mmcfg_reserved = 24
export const PHYSDEVOP_pci_device_add = 25
export const PHYSDEVOP_pci_device_remove = 26
export const PHYSDEVOP_restore_msi_ext = 27
export const PHYSDEVOP_prepare_msix = 30
export const PHYSDEVOP_release_msix = 31
export const PHYSDEVOP_dbgp_op = 29

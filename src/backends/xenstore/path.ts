// Paths: what is a valid one, whose child it is, and what a relative one is relative to.
// Follows docs/misc/xenstore.txt, its introduction and "Values commonly included in payloads".

import { XENSTORE_ABS_PATH_MAX } from './wire.ts'

/** The directory to which a domain's relative paths are relative. */
export function domainPath(domid: number): string {
  return `/local/domain/${domid}`
}

/** Puts `base` in front of a relative path; absolute paths and special watches stay. */
export function absolutePath(path: string, base: string): string {
  return path.startsWith('/') || path.startsWith('@') ? path : `${base}/${path}`
}

/** Whether the name is one of xenstored's own events, `@introduceDomain` and the like. */
export function isSpecial(path: string): boolean {
  return path.startsWith('@')
}

/**
 * Whether an absolute path may name a node. `maxLength` bounds what is behind the home of a
 * domain (all of the path if it is elsewhere), as a quota; the protocol's bound holds always.
 */
export function isValidPath(path: string, maxLength: number): boolean {
  if (path === '/') return true
  if (path.length > XENSTORE_ABS_PATH_MAX || !/^(\/[-\w@]+)+$/.test(path)) return false
  const home = /^\/local\/domain\/\d{1,5}\//.exec(path)
  return path.length - (home?.[0].length ?? 0) <= maxLength
}

/** The names on the way from the root: none for the root itself. */
export function segmentsOf(path: string): string[] {
  return path === '/' ? [] : path.slice(1).split('/')
}

export function joinPath(parent: string, name: string): string {
  return parent === '/' ? `/${name}` : `${parent}/${name}`
}

/** The path above; the root is its own parent. */
export function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/'
}

/** Whether `path` is `ancestor` or lies below it. */
export function isWithin(path: string, ancestor: string): boolean {
  if (ancestor === '/') return path.startsWith('/')
  return (
    path.startsWith(ancestor) && (path.length === ancestor.length || path[ancestor.length] === '/')
  )
}

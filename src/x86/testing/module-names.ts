// What profilers show, as it is in the name section of modules: plain text in their bytes (WebAssembly
// core specification, 7.4.1).

import type { Handlers } from '../interpreter/handlers.ts'

/** Calls `onModule` with the names in each module of handlers or regions that comes from now on. */
export function watchNames(handlers: Handlers, onModule: (names: string) => void): void {
  const instantiate = handlers.instantiate.bind(handlers)
  handlers.instantiate = (module) => {
    for (const section of WebAssembly.Module.customSections(module, 'name')) {
      onModule(new TextDecoder('latin1').decode(new Uint8Array(section)))
    }
    return instantiate(module)
  }
}

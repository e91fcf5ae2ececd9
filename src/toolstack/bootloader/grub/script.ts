// The language of grub.cfg as a tree: words and commands (GNU GRUB manual 2.06, chapter 6, "Writing
// your own configuration file": shell-like scripting).

/** A piece of a word. What is quoted is not split, and stays if it is empty. */
export type Piece =
  | { readonly kind: 'text'; readonly text: string; readonly isQuoted: boolean }
  | { readonly kind: 'variable'; readonly name: string; readonly isQuoted: boolean }

export type Word = readonly Piece[]

export type Command =
  | {
      readonly kind: 'simple'
      readonly words: readonly Word[]
      /** What follows in braces, as with `menuentry`. */
      readonly block?: readonly Command[]
    }
  | {
      readonly kind: 'if'
      readonly branches: readonly {
        readonly condition: readonly Command[]
        readonly body: readonly Command[]
      }[]
      readonly otherwise: readonly Command[]
    }
  | {
      readonly kind: 'while'
      readonly isUntil: boolean
      readonly condition: readonly Command[]
      readonly body: readonly Command[]
    }
  | {
      readonly kind: 'for'
      readonly name: string
      readonly words: readonly Word[]
      readonly body: readonly Command[]
    }
  | { readonly kind: 'function'; readonly name: string; readonly body: readonly Command[] }

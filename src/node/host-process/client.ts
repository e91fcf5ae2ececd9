// The client of a host process: calls operations, follows events, attaches to consoles.

import type { ClientRequest, IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { Bug, UserError } from '../../base/errors.ts'
import {
  type Answer,
  type AnswerLine,
  CAPTURE_TYPE,
  CONSOLE_PROTOCOL,
  type EventLine,
  type OperationName,
  type Parameters,
  type Progress,
  type SentError,
  TRACE_TYPE,
} from './protocol.ts'

// An import would load all that it exports, WebSocket among that: a third of the time of "list".
const { request } = process.getBuiltinModule('node:http')

/** The host process has ended before it has answered. */
export class HostGoneError extends UserError {
  constructor() {
    super(
      'The host process does not answer any more.',
      'It has ended, or was ended, in the middle.',
      '"xenolith host --list" shows which hosts run; the next create starts one.',
    )
  }
}

/** A host process, as a client sees it. */
export class HostClient {
  readonly socketPath: string

  constructor(socketPath: string) {
    this.socketPath = socketPath
  }

  /**
   * Carries out an operation.
   * @throws UserError as the host gives it, HostGoneError; Bug for one of its own
   */
  async call<K extends OperationName>(
    operation: K,
    parameters: Parameters<K>,
    onProgress?: (progress: Progress) => void,
  ): Promise<Answer<K>> {
    const sent = this.#request('POST', `/v1/${operation}`)
    sent.end(JSON.stringify(parameters))
    const response = await responseOf(sent)
    if (response.statusCode !== 200) {
      response.resume()
      throw versionsDiffer()
    }
    for await (const line of linesOf<AnswerLine>(response)) {
      if ('progress' in line) onProgress?.(line.progress)
      else if ('error' in line) throw receivedError(line.error)
      else return line.result as Answer<K>
    }
    throw new HostGoneError()
  }

  /** What happens to domains from now on; ends when the host does, or with `signal`. */
  async events(signal: AbortSignal): Promise<AsyncIterable<EventLine>> {
    const sent = this.#request('GET', '/v1/events', {}, signal)
    sent.end()
    const response = await responseOf(sent)
    return linesOf<EventLine>(response)
  }

  /**
   * The console of a domain, byte for byte in both directions, beginning with what a terminal of
   * so many rows would show. It ends when the domain is gone.
   * @throws UserError if there is no such domain
   */
  async console(domain: string, rows: number): Promise<Duplex> {
    const query = new URLSearchParams({ domain, rows: String(rows) })
    const headers = { connection: 'Upgrade', upgrade: CONSOLE_PROTOCOL }
    const sent = this.#request('GET', `/v1/console?${query.toString()}`, headers)
    const opened = new Promise<Duplex>((resolve, reject) => {
      sent.on('upgrade', (_response, socket, head) => {
        if (head.length > 0) socket.unshift(head)
        resolve(socket)
      })
      sent.on('response', (response) => {
        firstError(response).then(reject, reject)
      })
      sent.on('error', () => reject(new HostGoneError()))
    })
    sent.end()
    return opened
  }

  /**
   * What passes a domain's network interfaces, as pcapng; ends with the domain, after so many
   * frames, or with `signal`.
   * @throws UserError if there is no such domain
   */
  async capture(
    domain: string,
    frames: number | undefined,
    signal: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array>> {
    const query = new URLSearchParams({ domain })
    if (frames !== undefined) query.set('frames', String(frames))
    const sent = this.#request('GET', `/v1/capture?${query.toString()}`, {}, signal)
    sent.end()
    const response = await responseOf(sent)
    if (response.headers['content-type'] !== CAPTURE_TYPE) throw await firstError(response)
    return response
  }

  /**
   * What happens to a domain, of these kinds, as lines of text or JSON; ends with the domain, or
   * with `signal`.
   * @throws UserError if there is no such domain
   */
  async trace(
    domain: string,
    kinds: readonly string[],
    isJson: boolean,
    signal: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array>> {
    const query = new URLSearchParams({ domain, kinds: kinds.join() })
    if (isJson) query.set('json', '')
    const sent = this.#request('GET', `/v1/trace?${query.toString()}`, {}, signal)
    sent.end()
    const response = await responseOf(sent)
    if (response.headers['content-type'] !== TRACE_TYPE) throw await firstError(response)
    return response
  }

  #request(
    method: string,
    path: string,
    headers: Record<string, string> = {},
    signal?: AbortSignal,
  ): ClientRequest {
    return request({
      socketPath: this.socketPath,
      method,
      path,
      headers: { host: 'xenolith', ...headers },
      agent: false,
      ...(signal && { signal }),
    })
  }
}

function responseOf(sent: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    sent.on('response', resolve)
    sent.on('error', () => reject(new HostGoneError()))
  })
}

async function* linesOf<T>(response: IncomingMessage): AsyncGenerator<T> {
  let rest = ''
  response.setEncoding('utf8')
  try {
    for await (const chunk of response as AsyncIterable<string>) {
      rest += chunk
      for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
        yield JSON.parse(rest.slice(0, end)) as T
        rest = rest.slice(end + 1)
      }
    }
  } catch (error) {
    // A connection that breaks off is the end of the lines; who waits for more says so.
    if (error instanceof Error && 'code' in error) return
    throw error
  }
}

async function firstError(response: IncomingMessage): Promise<Error> {
  for await (const line of linesOf<AnswerLine>(response)) {
    if ('error' in line) return receivedError(line.error)
  }
  return new HostGoneError()
}

function receivedError({ kind, what, why, remedy }: SentError): Error {
  return kind === 'user' ? new UserError(what, why, remedy) : new Bug(what)
}

function versionsDiffer(): UserError {
  return new UserError(
    'The host process does not know what it was asked.',
    'It is of another version of Xenolith.',
    'Stop it (xenolith host --stop) and start it anew.',
  )
}

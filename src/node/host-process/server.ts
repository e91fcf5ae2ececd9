// Serves a host on its socket: operations, the stream of events, and consoles (protocol.ts). All
// that a client can make it keep is bounded.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { UserError } from '../../base/errors.ts'
import { checkParameters } from './check-parameters.ts'
import { serveConsole } from './console-connection.ts'
import type { OperationWorld } from './handler.ts'
import { OPERATIONS } from './operations.ts'
import {
  type AnswerLine,
  CAPTURE_TYPE,
  CONSOLE_PROTOCOL,
  type OperationName,
  type SentError,
  TRACE_TYPE,
} from './protocol.ts'
import { streamTrace } from './trace-connection.ts'

const MOST_BODY_BYTES = 1 << 20
/** An event stream that is not read is closed when so much waits. */
const MOST_WAITING_BYTES = 1 << 20

/** The server, not listening yet. `onBug` is told of what should not have happened. */
export function makeServer(world: OperationWorld, onBug: (error: unknown) => void): Server {
  const server = createServer((request, response) => {
    response.on('error', () => {})
    handle(world, request, response).catch(onBug)
  })
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Uint8Array) => {
    socket.on('error', () => socket.destroy())
    upgrade(world, request, socket, head)
  })
  return server
}

async function handle(
  world: OperationWorld,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = new URL(request.url ?? '/', 'http://host').pathname
  if (request.method === 'GET' && path === '/v1/events') return streamEvents(world, response)
  if (request.method === 'GET' && path === '/v1/capture') {
    return streamCapture(world, request, response)
  }
  if (request.method === 'GET' && path === '/v1/trace') {
    return streamOrError(response, TRACE_TYPE, () => streamTrace(world, request, response))
  }
  const name = path.startsWith('/v1/') ? path.slice('/v1/'.length) : ''
  if (request.method !== 'POST' || !Object.hasOwn(OPERATIONS, name)) {
    response.writeHead(404, { 'content-type': 'text/plain' })
    response.end(`There is no ${request.method} ${path}.\n`)
    return
  }
  response.writeHead(200, { 'content-type': 'application/x-ndjson' })
  const send = (line: AnswerLine) => response.write(`${JSON.stringify(line)}\n`)
  try {
    const parameters = await bodyOf(request)
    checkParameters(name as OperationName, parameters)
    const operation = OPERATIONS[name as OperationName] as (
      world: OperationWorld,
      parameters: unknown,
      progress: (progress: { phase: string; ms: number; detail: string }) => void,
    ) => unknown
    let isDone = false
    const progress = (told: { phase: string; ms: number; detail: string }) => {
      if (!isDone) send({ progress: told })
    }
    const result = await operation(world, parameters, progress)
    isDone = true
    send({ result: result ?? null })
  } catch (error) {
    send({ error: sentError(error) })
  }
  response.end()
}

/** Begins a stream; what hinders that is answered as a line. */
function streamOrError(response: ServerResponse, type: string, begin: () => () => void): void {
  try {
    const stop = begin()
    response.writeHead(200, { 'content-type': type })
    response.flushHeaders()
    response.on('close', stop)
  } catch (error) {
    response.writeHead(200, { 'content-type': 'application/x-ndjson' })
    response.end(`${JSON.stringify({ error: sentError(error) })}\n`)
  }
}

function sentError(error: unknown): SentError {
  if (error instanceof UserError) {
    const { what, why, remedy } = error
    return { kind: 'user', what, why, remedy }
  }
  const trace = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return { kind: 'bug', what: trace, why: '', remedy: '' }
}

async function bodyOf(request: IncomingMessage): Promise<object> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of request as AsyncIterable<Uint8Array>) {
    length += chunk.length
    if (length > MOST_BODY_BYTES) throw wrongRequest('It is longer than 1 MiB.')
    chunks.push(chunk)
  }
  try {
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString() || '{}')
    if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body
  } catch {
    // Said below.
  }
  throw wrongRequest('It is no JSON object.')
}

function wrongRequest(why: string): UserError {
  return new UserError(
    'The request was not understood.',
    why,
    'Use a client of the same version: xenolith version.',
  )
}

function streamEvents({ table }: OperationWorld, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' })
  response.flushHeaders()
  const stop = table.listen((event) => {
    response.write(`${JSON.stringify(event)}\n`)
    if (response.writableLength > MOST_WAITING_BYTES) response.destroy()
  })
  response.on('close', stop)
}

/** What passes a domain's interfaces, as pcapng, until it ends or the client has enough. */
function streamCapture(
  { table }: OperationWorld,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const url = new URL(request.url ?? '/', 'http://host')
  const most = Number(url.searchParams.get('frames') ?? Number.POSITIVE_INFINITY)
  let frames = 0
  try {
    const { running } = table.findLiving(url.searchParams.get('domain') ?? '')
    response.writeHead(200, { 'content-type': CAPTURE_TYPE })
    response.flushHeaders()
    const stop = running.networks.capture({
      write: (bytes, more) => {
        const isSlow = more > 0 && response.writableLength > MOST_WAITING_BYTES
        if (isSlow || frames >= most) return
        frames += more
        response.write(bytes)
        if (frames >= most) response.end()
      },
      end: () => response.end(),
    })
    response.on('close', stop)
  } catch (error) {
    response.writeHead(200, { 'content-type': 'application/x-ndjson' })
    response.end(`${JSON.stringify({ error: sentError(error) })}\n`)
  }
}

function upgrade(
  { table }: OperationWorld,
  request: IncomingMessage,
  socket: Duplex,
  head: Uint8Array,
): void {
  const url = new URL(request.url ?? '/', 'http://host')
  const refuse = (status: string, line: AnswerLine) => {
    socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n${JSON.stringify(line)}\n`)
  }
  if (url.pathname !== '/v1/console' || request.headers.upgrade !== CONSOLE_PROTOCOL) {
    refuse('400 Bad Request', { error: sentError(wrongRequest('There is no such upgrade.')) })
    return
  }
  try {
    const managed = table.find(url.searchParams.get('domain') ?? '')
    const rows = Number(url.searchParams.get('rows') ?? 0)
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${CONSOLE_PROTOCOL}\r\n\r\n`,
    )
    serveConsole(managed, socket, Number.isInteger(rows) ? rows : 0)
    if (head.length > 0) socket.unshift(head)
  } catch (error) {
    refuse('404 Not Found', { error: sentError(error) })
  }
}

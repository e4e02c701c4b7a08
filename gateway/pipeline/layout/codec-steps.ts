/** Steps that turn bytes into messages and back, for protocols other than HTTP. */
import type { SocksRequest } from "#pipeline/codecs/socks/server.ts";
import type { Handler } from "#pipeline/filters/script-filter.ts";
import { DecodeDns, EncodeDns } from "#pipeline/protocols/dns.ts";
import { DecodeMqtt, EncodeMqtt, type MqttOptions } from "#pipeline/protocols/mqtt.ts";
import {
  AcceptProxyProtocol,
  ConnectProxyProtocol,
  type ProxyAddresses,
  type ProxyHeaderOf,
} from "#pipeline/protocols/proxy-protocol.ts";
import { AcceptSocks, ConnectSocks, type AcceptSocksOptions, type SocksTargetOf } from "#pipeline/protocols/socks.ts";
import { DecodeWebSocket, EncodeWebSocket, type WebSocketOptions } from "#pipeline/protocols/websocket.ts";
import { HttpSteps } from "./http-steps.ts";
import type { Joint } from "./steps.ts";

export abstract class CodecSteps<C extends object> extends HttpSteps<C> {
  /** Packets of MQTT 3.1.1 and 5.0: the head is the packet (`type`, `topic`, `qos` …), the body a PUBLISH's payload. */
  decodeMQTT(options: MqttOptions<C> = {}): this {
    return this.use((scope) => new DecodeMqtt(scope, options));
  }

  encodeMQTT(options: MqttOptions<C> = {}): this {
    return this.use((scope) => new EncodeMqtt(scope, options));
  }

  /** Messages of WebSocket; the head says `opcode`: 1 text, 2 binary, 8 close, 9 ping, 10 pong. A client's are masked. */
  decodeWebSocket(options: WebSocketOptions = {}): this {
    return this.use((scope) => new DecodeWebSocket(scope, options));
  }

  /** `{ masked: true }` towards a server. */
  encodeWebSocket(options: WebSocketOptions = {}): this {
    return this.use((scope) => new EncodeWebSocket(scope, options));
  }

  /** Datagrams that are DNS messages: the head is the message (`id`, `questions`, `answers` …). Others are dropped. */
  decodeDNS(): this {
    return this.use((scope) => new DecodeDns(scope));
  }

  encodeDNS(): this {
    return this.use((scope) => new EncodeDns(scope));
  }

  /** SOCKS 5, 4 and 4a: the handler says whether a client may go where it asks to; the sub-pipeline carries its stream. */
  acceptSOCKS(handler: Handler<SocksRequest, C, boolean>, options: AcceptSocksOptions = {}): Joint<this, C> {
    return this.joint("acceptSOCKS", (pipeline) => (scope) => new AcceptSocks(scope, pipeline, handler, options));
  }

  /** Asks the SOCKS server (5, or 4 and 4a) that the sub-pipeline leads to for a connection to `target`. */
  connectSOCKS(target: SocksTargetOf<C>): Joint<this, C> {
    return this.joint("connectSOCKS", (pipeline) => (scope) => new ConnectSocks(scope, pipeline, target));
  }

  /** A PROXY header, version 1 or 2, is taken off; the handler says whether who it names may come in. */
  acceptProxyProtocol(handler: Handler<ProxyAddresses, C, boolean>): Joint<this, C> {
    return this.joint(
      "acceptProxyProtocol",
      (pipeline) => (scope) => new AcceptProxyProtocol(scope, pipeline, handler),
    );
  }

  /** A PROXY header in front of what the sub-pipeline is sent. */
  connectProxyProtocol(header: ProxyHeaderOf<C>): Joint<this, C> {
    return this.joint(
      "connectProxyProtocol",
      (pipeline) => (scope) => new ConnectProxyProtocol(scope, pipeline, header),
    );
  }
}

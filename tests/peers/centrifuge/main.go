// A server around the Centrifuge library, for `tally bench` to measure beside our own: anybody may connect and subscribe to one
// channel, with history and recovery as our rooms have them. It publishes when it is told to.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/centrifugal/centrifuge"
)

const (
	channel = "show"

	// What a room of ours keeps: 256 KiB of frames and at most 30 seconds of them.
	historyMessages = 640
	historyTTL      = 30 * time.Second

	// As our sockets are asked for a sign of life.
	pingInterval = 20 * time.Second
	pongTimeout  = 8 * time.Second

	dataBytesMax = 64 * 1024
	ordersAtOnce = 4096
)

var (
	listen = flag.String("listen", "127.0.0.1:0", "where to listen; the address is printed")
	delay  = flag.Duration("write-delay", 0, "gather messages so long before they are written")
	gather = flag.String("gather", "loop", "where they are gathered: in the connection's loop, by the connection's timer, "+
		"or for the whole channel: loop, timer or channel; the first takes least processor time for a thousand sockets")
	lean = flag.Bool("lean", false, "set the library up for many idle connections: small and shared buffers, small stacks")
)

func main() {
	flag.Parse()
	node, err := centrifuge.New(config())
	if err != nil {
		log.Fatal(err)
	}
	node.OnConnecting(connecting)
	node.OnConnect(func(client *centrifuge.Client) { client.OnSubscribe(subscribe) })
	if err := node.Run(); err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("/connection/websocket", centrifuge.NewWebsocketHandler(node, websocket()))
	http.HandleFunc("/publish", func(w http.ResponseWriter, r *http.Request) { takeOrders(node, w, r) })
	fmt.Println(listener.Addr())
	log.Fatal(http.Serve(listener, nil))
}

func config() centrifuge.Config {
	config := centrifuge.Config{}
	if *gather == "channel" && *delay > 0 {
		batch := centrifuge.ChannelBatchConfig{MaxDelay: *delay}
		config.GetChannelBatchConfig = func(string) centrifuge.ChannelBatchConfig { return batch }
	}
	return config
}

func websocket() centrifuge.WebsocketConfig {
	config := centrifuge.WebsocketConfig{
		PingPongConfig: centrifuge.PingPongConfig{PingInterval: pingInterval, PongTimeout: pongTimeout},
	}
	if *lean {
		config.ReadBufferSize = 512
		config.WriteBufferSize = 512
		config.UseWriteBufferPool = true
		config.ProcessCommandsOffReadLoop = true
	}
	return config
}

// connecting lets anybody in.
func connecting(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
	reply := centrifuge.ConnectReply{
		Credentials: &centrifuge.Credentials{},
		// as many as there are: the default of 16 would cut a hot room's window in two
		MaxMessagesInFrame: -1,
	}
	if *gather != "channel" {
		reply.WriteDelay = *delay
		reply.WriteWithTimer = *gather == "timer"
	}
	return reply, nil
}

func subscribe(event centrifuge.SubscribeEvent, answer centrifuge.SubscribeCallback) {
	if event.Channel != channel {
		answer(centrifuge.SubscribeReply{}, centrifuge.ErrorPermissionDenied)
		return
	}
	answer(centrifuge.SubscribeReply{Options: centrifuge.SubscribeOptions{EnableRecovery: true}}, nil)
}

// takeOrders makes the request's connection one for orders: each byte that comes over it is a message to be published, of as many
// bytes as the request says.
func takeOrders(node *centrifuge.Node, w http.ResponseWriter, r *http.Request) {
	length, err := strconv.Atoi(r.URL.Query().Get("bytes"))
	if err != nil || length < 2 || length > dataBytesMax {
		http.Error(w, "how many bytes?", http.StatusBadRequest)
		return
	}
	data := []byte(`"` + strings.Repeat("x", length-2) + `"`)
	connection, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer connection.Close()
	if _, err := connection.Write([]byte("HTTP/1.1 101 Switching Protocols\r\n\r\n")); err != nil {
		return
	}
	publish(node, data, buffered.Reader)
}

func publish(node *centrifuge.Node, data []byte, orders *bufio.Reader) {
	read := make([]byte, ordersAtOnce)
	for {
		count, err := orders.Read(read)
		for range count {
			if _, err := node.Publish(channel, data, centrifuge.WithHistory(historyMessages, historyTTL)); err != nil {
				log.Print(err)
			}
		}
		if err != nil {
			return
		}
	}
}

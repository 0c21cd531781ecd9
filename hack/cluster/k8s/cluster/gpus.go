// The device plugin double: it offers GPUs that do not exist as nvidia.com/gpu, through the kubelet's own interface.
// clusterlib/gpus.py starts one for each node and writes the file that says what the GPUs are.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	deviceplugin "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

const (
	gpuResource = "nvidia.com/gpu"
	gpuSocket   = "simulated-gpus.sock"
	// Where a container finds the description of its node's GPUs.
	gpuFile   = "/run/simulated-gpus.json"
	gpuPeriod = 200 * time.Millisecond
)

// gpuPlugin answers the kubelet; what it offers is read from the file whenever it is asked.
type gpuPlugin struct {
	deviceplugin.UnimplementedDevicePluginServer
	file string
	stop chan struct{}
}

func runGpuPlugin(arguments []string) error {
	flags := flag.NewFlagSet(filepath.Base(os.Args[0]), flag.ExitOnError)
	directory := flags.String("directory", deviceplugin.DevicePluginPath, "the kubelet's directory of device plugins")
	file := flags.String("gpus", "", "JSON with product, compute_cap, memory_mib, driver and uuids")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if _, err := gpuUUIDs(*file); err != nil {
		return err
	}
	for {
		if err := serveGpus(*directory, *file); err != nil {
			log.Printf("not registered: %v", err)
			time.Sleep(gpuPeriod)
		}
	}
}

// serveGpus registers, and returns when the kubelet has started anew: it removes every plugin's socket then.
func serveGpus(directory, file string) error {
	socket := filepath.Join(directory, gpuSocket)
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	// The socket of this name may be the next one by the time this one is closed.
	listener.(*net.UnixListener).SetUnlinkOnClose(false)
	ours, err := os.Stat(socket)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	plugin := &gpuPlugin{file: file, stop: make(chan struct{})}
	deviceplugin.RegisterDevicePluginServer(server, plugin)
	go func() {
		if err := server.Serve(listener); err != nil {
			log.Printf("serving ended: %v", err)
		}
	}()
	defer server.Stop()
	defer close(plugin.stop)
	if err := registerGpus(filepath.Join(directory, filepath.Base(deviceplugin.KubeletSocket))); err != nil {
		return err
	}
	log.Printf("registered %s", gpuResource)
	for {
		time.Sleep(gpuPeriod)
		if found, err := os.Stat(socket); err != nil || !os.SameFile(ours, found) {
			log.Print("the kubelet removed the socket: registering again")
			return nil
		}
	}
}

func registerGpus(kubelet string) error {
	connection, err := grpc.NewClient("unix://"+kubelet, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	limited, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err = deviceplugin.NewRegistrationClient(connection).Register(limited, &deviceplugin.RegisterRequest{
		Version:      deviceplugin.Version,
		Endpoint:     gpuSocket,
		ResourceName: gpuResource,
	})
	return err
}

func (plugin *gpuPlugin) GetDevicePluginOptions(context.Context, *deviceplugin.Empty) (*deviceplugin.DevicePluginOptions, error) {
	return &deviceplugin.DevicePluginOptions{}, nil
}

// ListAndWatch sends the list, and sends it again when the file names other GPUs.
func (plugin *gpuPlugin) ListAndWatch(_ *deviceplugin.Empty, stream grpc.ServerStreamingServer[deviceplugin.ListAndWatchResponse]) error {
	var sent []string
	for {
		uuids, err := gpuUUIDs(plugin.file)
		if err != nil {
			return err
		}
		if sent == nil || !slices.Equal(sent, uuids) {
			devices := make([]*deviceplugin.Device, 0, len(uuids))
			for _, uuid := range uuids {
				devices = append(devices, &deviceplugin.Device{ID: uuid, Health: deviceplugin.Healthy})
			}
			if err := stream.Send(&deviceplugin.ListAndWatchResponse{Devices: devices}); err != nil {
				return err
			}
			sent = uuids
		}
		select {
		case <-stream.Context().Done():
			return nil
		case <-plugin.stop:
			return nil
		case <-time.After(gpuPeriod):
		}
	}
}

// Allocate gives a container what NVIDIA's plugin gives it, and the description in place of a driver.
func (plugin *gpuPlugin) Allocate(_ context.Context, request *deviceplugin.AllocateRequest) (*deviceplugin.AllocateResponse, error) {
	known, err := gpuUUIDs(plugin.file)
	if err != nil {
		return nil, err
	}
	response := &deviceplugin.AllocateResponse{}
	for _, container := range request.ContainerRequests {
		for _, id := range container.DevicesIds {
			if !slices.Contains(known, id) {
				return nil, fmt.Errorf("the node has no GPU %s", id)
			}
		}
		response.ContainerResponses = append(response.ContainerResponses, &deviceplugin.ContainerAllocateResponse{
			Envs:   map[string]string{"NVIDIA_VISIBLE_DEVICES": strings.Join(container.DevicesIds, ",")},
			Mounts: []*deviceplugin.Mount{{ContainerPath: gpuFile, HostPath: plugin.file, ReadOnly: true}},
		})
	}
	return response, nil
}

func gpuUUIDs(file string) ([]string, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	described := struct {
		UUIDs []string `json:"uuids"`
	}{}
	if err := json.Unmarshal(content, &described); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return described.UUIDs, nil
}

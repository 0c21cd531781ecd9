// One binary that is kubectl and Helm, chosen by the name it is called by: they share most of their packages with each
// other and with the cluster's programs, so that they are compiled once.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	helm "helm.sh/helm/v4/pkg/cmd"
	"helm.sh/helm/v4/pkg/kube"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
)

func main() {
	switch name := filepath.Base(os.Args[0]); name {
	case "kubectl":
		os.Exit(cli.Run(kubectl.NewDefaultKubectlCommand()))
	case "helm":
		os.Exit(runHelm(os.Args[1:]))
	default:
		fmt.Fprintf(os.Stderr, "%s: link this binary to the name kubectl or helm\n", name)
		os.Exit(64)
	}
}

// runHelm does what Helm's own program does, but for the plugins of cloud providers.
func runHelm(arguments []string) int {
	kube.ManagedFieldsManager = "helm"
	command, err := helm.NewRootCmd(os.Stdout, arguments, helm.SetupLogging)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := command.Execute(); err != nil {
		if failed, ok := errors.AsType[helm.CommandError](err); ok {
			return failed.ExitCode
		}
		return 1
	}
	return 0
}

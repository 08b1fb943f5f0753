module scim-tekton.test/cluster/image

go 1.26
